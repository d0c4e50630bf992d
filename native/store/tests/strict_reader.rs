//! A second reader of the formats, written from `docs/disk.md` alone.
//!
//! Shares no code with the crate, not even the checksum, and has no mercy: what the document
//! does not allow is an error. The crash tests hold the product's recovery against it. It is
//! also a test of its own, on bytes written by hand.

#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;

/// All files of a directory.
pub type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub log_start: u64,
    /// Meta and blocks of each snapshot, in the manifest's order.
    pub snapshots: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Records from the log start on: position after, payload.
    pub records: Vec<(u64, Vec<u8>)>,
    pub payload: Vec<u8>,
}

pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ 0x82F6_3B78
            } else {
                sum >> 1
            };
        }
    }
    !sum
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn head(bytes: &[u8], magic: &[u8]) -> Option<()> {
    let right = bytes.get(..8)? == magic && u32_at(bytes, 8)? == 1;
    (right && u32_at(bytes, 12)? == crc32c(&bytes[..12])).then_some(())
}

/// Reads a whole database; `Ok(None)` when there is no manifest and no record.
pub fn read(files: &Files) -> Result<Option<Contents>, String> {
    let Some(manifest) = files.get("MANIFEST") else {
        let is_log = |name: &String| name.starts_with("log-") && name.ends_with(".mlog");
        let has_records = files
            .iter()
            .any(|(name, bytes)| is_log(name) && bytes.len() > 36);
        return if has_records {
            Err("records, no manifest".into())
        } else {
            Ok(None)
        };
    };
    let (log_id, log_start, names, payload) = read_manifest(manifest).ok_or("bad manifest")?;
    let mut snapshots = Vec::new();
    for (id, name) in names {
        let bytes = files.get(&name).ok_or("missing snapshot")?;
        snapshots.push(read_snapshot(bytes, id).ok_or("bad snapshot")?);
    }
    let records = read_log(files, log_id, log_start)?;
    Ok(Some(Contents {
        log_start,
        snapshots,
        records,
        payload,
    }))
}

pub type ManifestParts = (u64, u64, Vec<(u64, String)>, Vec<u8>);

pub fn read_manifest(bytes: &[u8]) -> Option<ManifestParts> {
    head(bytes, b"\x89MagnMan")?;
    let body = bytes.get(24..)?;
    let length = u32_at(bytes, 16)? as usize;
    if body.len() != length || crc32c(body) != u32_at(bytes, 20)? {
        return None;
    }
    let mut at = 20;
    let mut names = Vec::new();
    for _ in 0..u32_at(body, 16)? {
        let length = u16::from_le_bytes(body.get(at + 16..at + 18)?.try_into().ok()?);
        let name = body.get(at + 18..at + 18 + usize::from(length))?;
        names.push((u64_at(body, at)?, String::from_utf8(name.to_vec()).ok()?));
        at += 18 + usize::from(length);
    }
    let payload = body.get(at + 4..)?;
    let length = u32_at(body, at)? as usize;
    (payload.len() == length).then_some((
        u64_at(body, 0)?,
        u64_at(body, 8)?,
        names,
        payload.to_vec(),
    ))
}

pub fn read_snapshot(bytes: &[u8], id: u64) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    head(bytes, b"\x89MagnSnp")?;
    if u64_at(bytes, 16)? != id || u32_at(bytes, 24)? != crc32c(&bytes[..24]) {
        return None;
    }
    let (mut at, mut meta, mut blocks) = (28, None, Vec::<Vec<u8>>::new());
    let (mut total, mut sums) = (0u64, Vec::new());
    loop {
        let length = u32_at(bytes, at + 4)? as usize;
        let (index, sum) = (u64_at(bytes, at + 8)?, u32_at(bytes, at + 16)?);
        let payload = bytes.get(at + 24..at + 24 + length)?.to_vec();
        let place = [
            &id.to_le_bytes(),
            &(at as u64).to_le_bytes(),
            &bytes[at..at + 20],
        ]
        .concat();
        if crc32c(&payload) != sum || crc32c(&place) != u32_at(bytes, at + 20)? {
            return None;
        }
        let kind = bytes.get(at..at + 4)?;
        at += 24 + length;
        match (kind, &meta) {
            (b"\xF2mSM", None) if index == 0 => meta = Some(payload),
            (b"\xF2mSB", Some(_)) if index == blocks.len() as u64 => {
                total += length as u64;
                sums.extend_from_slice(&sum.to_le_bytes());
                blocks.push(payload);
            }
            (b"\xF2mSE", Some(_)) if index == blocks.len() as u64 && at == bytes.len() => {
                let end = [&index.to_le_bytes()[..], &total.to_le_bytes()].concat();
                let end = [&end[..], &crc32c(&sums).to_le_bytes()].concat();
                return (end == payload).then_some((meta?, blocks));
            }
            _ => return None,
        }
    }
}

/// One frame: position after it, `durable`, payload.
fn frame(bytes: &[u8], id: u64, first: u64, at: usize) -> Option<(u64, u64, Vec<u8>)> {
    let durable = header(bytes, id, first, at)?;
    let length = u32_at(bytes, at + 4)? as usize;
    let payload = bytes.get(at + 24..at + 24 + length)?;
    let end = first.checked_add(at as u64 - 36 + 24 + length as u64)?;
    (crc32c(payload) == u32_at(bytes, at + 16)?).then(|| (end, durable, payload.to_vec()))
}

/// The `durable` of an intact frame header.
fn header(bytes: &[u8], id: u64, first: u64, at: usize) -> Option<u64> {
    let position = first.checked_add(at as u64 - 36)?;
    let durable = u64_at(bytes, at + 8)?;
    let place = [
        &id.to_le_bytes(),
        &position.to_le_bytes(),
        bytes.get(at..at + 20)?,
    ]
    .concat();
    let is_right = bytes[at..at + 4] == [0xF1, 0x6D, 0x52, 0xC7]
        && crc32c(&place) == u32_at(bytes, at + 20)?
        && durable <= position;
    is_right.then_some(durable)
}

pub fn read_log(files: &Files, id: u64, start: u64) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let mut segments: Vec<(u64, &Vec<u8>)> = files
        .iter()
        .filter_map(|(name, bytes)| {
            let digits = name.strip_prefix("log-")?.strip_suffix(".mlog")?;
            Some((u64::from_str_radix(digits, 16).ok()?, bytes))
        })
        .collect();
    segments.retain({
        let begin = segments
            .iter()
            .map(|s| s.0)
            .filter(|first| *first <= start)
            .max();
        let begin = begin.ok_or("no first segment")?;
        move |segment| segment.0 >= begin
    });
    let is_whole = |(first, bytes): &(u64, &Vec<u8>)| {
        head(bytes, b"\x89MagnLog").is_some()
            && u64_at(bytes, 16) == Some(id)
            && u64_at(bytes, 24) == Some(*first)
            && u32_at(bytes, 32) == Some(crc32c(&bytes[..32]))
    };
    let mut known = start;
    let last = segments.last().expect("one at least");
    if segments.len() > 1 && !is_whole(last) && last.1.len() <= 36 {
        known = known.max(last.0);
        segments.pop();
    }
    let mut records = Vec::new();
    let mut end = segments[0].0;
    let count = segments.len();
    for (index, segment) in segments.into_iter().enumerate() {
        if !is_whole(&segment) || segment.0 != end {
            return Err(format!("segment {}", segment.0));
        }
        let (first, bytes) = segment;
        let mut at = 36;
        while let Some((next, _, payload)) = frame(bytes, id, first, at) {
            if end >= start && !payload.is_empty() {
                records.push((next, payload));
            }
            at += (next - end) as usize;
            end = next;
        }
        if at < bytes.len() && !(index + 1 == count && is_torn(bytes, id, first, at, known)) {
            return Err(format!("segment {first}, offset {at}"));
        }
    }
    if end < known {
        Err(format!("ends at {end} before {known}"))
    } else {
        Ok(records)
    }
}

/// The document's table of verdicts, for the last segment.
fn is_torn(bytes: &[u8], id: u64, first: u64, at: usize, known: u64) -> bool {
    let position = first.saturating_add(at as u64 - 36);
    let later = || at + 1..bytes.len();
    let proven = later()
        .filter_map(|at| header(bytes, id, first, at))
        .max()
        .unwrap_or(0);
    if proven.max(known) > position {
        return false;
    }
    let Some(intact) = later().find(|at| frame(bytes, id, first, *at).is_some()) else {
        return true;
    };
    (at / 512..=intact / 512).any(|sector| {
        let part = &bytes[(sector * 512).max(at)..(sector * 512 + 512).min(intact)];
        !part.is_empty() && part.iter().all(|byte| *byte == 0)
    })
}

/// The check value that every description of CRC-32C gives.
#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
}

/// A log of one record in bytes written out by hand, with nothing computed but checksums.
#[test]
fn reads_a_log_written_by_hand() {
    let mut segment = b"\x89MagnLog\x01\0\0\0".to_vec();
    segment.extend(crc32c(&segment).to_le_bytes());
    segment.extend(*b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    segment.extend(crc32c(&segment).to_le_bytes());
    let mut frame = b"\xF1mR\xC7\x02\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    frame.extend(crc32c(b"hi").to_le_bytes());
    let place = [b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &frame[..]].concat();
    frame.extend(crc32c(&place).to_le_bytes());
    frame.extend(*b"hi");
    segment.extend(&frame);
    let name = String::from("log-0000000000000000.mlog");
    let mut files = Files::from([(name.clone(), segment)]);
    assert_eq!(read_log(&files, 5, 0), Ok(vec![(26, b"hi".to_vec())]));
    assert!(read_log(&files, 6, 0).is_err(), "another log's id");
    assert!(
        read_log(&files, 5, 27).is_err(),
        "ends before the log start"
    );
    files.get_mut(&name).expect("there").pop();
    assert_eq!(read_log(&files, 5, 0), Ok(vec![]), "a torn record");
}
