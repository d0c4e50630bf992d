//! A real BEAM on a pipe: it starts once per test and answers questions in batches.
//!
//! Each question is a frame of length `u32` (big-endian), one letter and its bytes; the answer
//! is a frame too. The other side is `beam.erl`.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What a BEAM says of a pair of terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `A < B`.
    pub less: bool,
    /// `A == B`.
    pub equal: bool,
    /// `A =:= B`.
    pub exact: bool,
    /// `#{A => 0} < #{B => 0}`.
    pub key_less: bool,
}

/// A running BEAM; it ends when this is dropped.
pub struct Beam {
    child: Child,
    questions: Option<ChildStdin>,
    answers: ChildStdout,
}

impl Beam {
    /// Starts `erl`.
    pub fn start() -> Self {
        let source = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../term/tests/support/beam.erl"
        );
        let eval = format!(
            "{{ok, M, B}} = compile:file({source:?}, [binary]), \
             code:load_binary(M, \"beam\", B), beam:start()."
        );
        let mut child = Command::new("erl")
            .args(["-noshell", "-noinput", "+pc", "unicode", "-eval", &eval])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("erl starts");
        let questions = child.stdin.take();
        let answers = child.stdout.take().expect("its output is a pipe");
        Self {
            child,
            questions,
            answers,
        }
    }

    /// The release, as 25.
    pub fn release(&mut self) -> u32 {
        let answer = self.ask(b'r', &[]);
        String::from_utf8_lossy(&answer)
            .parse()
            .expect("a release is a number")
    }

    /// Compares pairs, given as the encoding of a list of pairs.
    pub fn compare(&mut self, pairs: &[u8]) -> Vec<Verdict> {
        let bit = |byte: u8, bit: u8| byte & bit != 0;
        let answer = self.ask(b'c', pairs);
        let verdict = |byte| Verdict {
            less: bit(byte, 1),
            equal: bit(byte, 2),
            exact: bit(byte, 4),
            key_less: bit(byte, 8),
        };
        answer.into_iter().map(verdict).collect()
    }

    /// The names of at most 32 atoms in the order in which the BEAM stores them as keys of a map.
    pub fn stored(&mut self, names: &[&str]) -> Vec<String> {
        let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stored = frames(&self.ask(b's', &framed(&names))).into_iter();
        stored
            .map(|name| String::from_utf8(name).expect("a name is UTF-8"))
            .collect()
    }

    /// Decodes and encodes each; an empty answer is a refusal.
    pub fn echo(&mut self, encoded: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let answer = self.ask(b'e', &framed(encoded));
        frames(&answer)
    }

    /// Makes encoded terms, and remembers the terms.
    pub fn generate(&mut self, seed: u64, count: u32) -> Vec<Vec<u8>> {
        let question = [&seed.to_be_bytes()[..], &count.to_be_bytes()].concat();
        let answer = self.ask(b'g', &question);
        frames(&answer)
    }

    /// Local funs in many terms, all of them once by each of two processes.
    pub fn funs(&mut self) -> Vec<Vec<u8>> {
        frames(&self.ask(b'f', &[]))
    }

    /// Whether each is `=:=` to the term that was made.
    pub fn verify(&mut self, encoded: &[Vec<u8>]) -> Vec<bool> {
        self.ask(b'v', &framed(encoded))
            .into_iter()
            .map(|byte| byte == 1)
            .collect()
    }

    fn ask(&mut self, letter: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len() + 1).expect("a batch is small");
        let questions = self.questions.as_mut().expect("the pipe is open");
        questions
            .write_all(&length.to_be_bytes())
            .expect("the BEAM listens");
        questions.write_all(&[letter]).expect("the BEAM listens");
        questions.write_all(bytes).expect("the BEAM listens");
        questions.flush().expect("the BEAM listens");
        let mut length = [0; 4];
        self.answers
            .read_exact(&mut length)
            .expect("the BEAM answers");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.answers
            .read_exact(&mut answer)
            .expect("the BEAM answers");
        answer
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        // Without its questions it ends by itself; the kill is for one that hangs.
        drop(self.questions.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn framed(items: &[Vec<u8>]) -> Vec<u8> {
    let frame = |item: &Vec<u8>| [&(item.len() as u32).to_be_bytes()[..], item].concat();
    items.iter().flat_map(frame).collect()
}

fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}
