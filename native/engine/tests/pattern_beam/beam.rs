//! A BEAM on a pipe that says where it disagrees.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use magnesia_engine::pattern::Host;
use magnesia_term::{Atom, ExtKind, Packer};

use crate::external::{encode, encode_atom, list_head, tuple_head};

/// What our engine answered to one specification.
pub(crate) enum Ours {
    /// It does not compile.
    Refused,
    /// Each row, packed, with the result if it matched.
    Rows(Vec<(Vec<u8>, Option<Vec<u8>>)>),
}

/// A running `erl`; it ends when its pipe is closed.
pub(crate) struct Beam {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    batch: Vec<u8>,
    cases: usize,
    /// Terms that only a VM can make, packed: pid, port, reference and two funs.
    pub(crate) special: Vec<Vec<u8>>,
    /// Its release, as 25.
    pub(crate) release: u8,
}

impl Beam {
    pub(crate) fn start() -> Self {
        let mut child = Command::new("erl")
            .args(["-noinput", "-eval", include_str!("oracle.erl")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("erl is installed");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("it is piped");
        let mut beam = Self {
            child,
            input,
            output,
            batch: Vec::new(),
            cases: 0,
            special: Vec::new(),
            release: 0,
        };
        beam.send(b"hello");
        let hello = beam.receive();
        beam.special = special_terms(&hello);
        beam.release = *hello.last().expect("the release is the last byte");
        beam
    }

    /// The host whose answers agree with that VM.
    pub(crate) fn host(&self) -> Host {
        let node = Atom::intern("nonode@nohost").expect("there is room");
        Host {
            self_pid: self.special[0].clone().into(),
            node,
        }
    }

    /// Puts a case into the batch.
    pub(crate) fn add(&mut self, spec: &[u8], ours: &Ours) {
        let out = &mut self.batch;
        self.cases += 1;
        tuple_head(2, out);
        encode(spec, out);
        let Ours::Rows(rows) = ours else {
            return encode_atom("refused", out);
        };
        tuple_head(2, out);
        encode_atom("rows", out);
        if !rows.is_empty() {
            list_head(rows.len(), out);
        }
        for (row, result) in rows {
            tuple_head(2, out);
            encode(row, out);
            match result {
                None => encode_atom("none", out),
                Some(term) => {
                    tuple_head(2, out);
                    encode_atom("some", out);
                    encode(term, out);
                }
            }
        }
        out.push(106);
    }

    /// Sends the batch; the answer is empty when the BEAM agrees with all of it.
    pub(crate) fn disagreements(&mut self) -> String {
        let mut frame = vec![131];
        if self.cases > 0 {
            list_head(self.cases, &mut frame);
        }
        frame.append(&mut self.batch);
        frame.push(106);
        self.cases = 0;
        self.send(&frame);
        String::from_utf8(self.receive()).expect("the oracle answers UTF-8")
    }

    fn send(&mut self, frame: &[u8]) {
        let input = self.input.as_mut().expect("it is open until the drop");
        let length = u32::try_from(frame.len()).expect("batches are small");
        input.write_all(&length.to_be_bytes()).expect("erl listens");
        input.write_all(frame).expect("erl listens");
        input.flush().expect("erl listens");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.output.read_exact(&mut length).expect("erl answers");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.output.read_exact(&mut frame).expect("erl answers");
        frame
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("erl ends with its pipe");
    }
}

fn special_terms(mut frames: &[u8]) -> Vec<Vec<u8>> {
    use ExtKind::{Fun, Pid, Port, Reference};
    let mut terms = Vec::new();
    for kind in [Pid, Port, Reference, Fun, Fun] {
        let (length, rest) = frames.split_at(4);
        let length = u32::from_be_bytes(length.try_into().expect("it is four bytes")) as usize;
        let (term, rest) = rest.split_at(length);
        let mut packer = Packer::new();
        packer.ext(kind, &term[1..]);
        terms.push(packer.into_bytes());
        frames = rest;
    }
    terms
}
