//! Erlang syntax of a term for logs and errors, cut at a length. For people: nothing reads it
//! back.

use crate::external;
use crate::number;
use crate::packed::{self, Bits, Items, View};

/// What stands for the part that was cut.
const CUT: char = '…';

/// Longest integer that is written in full, in bytes of its magnitude.
const BIG_BYTES_MAX: usize = 1024;

/// The term as text of at most `chars_max` characters, of which the last is `…` when more
/// would follow.
#[must_use]
pub fn show(packed: &[u8], chars_max: usize) -> String {
    let mut text = Text {
        text: String::new(),
        room: chars_max.saturating_add(1),
    };
    let mut stack: Vec<Open<'_>> = Vec::new();
    one(packed, &mut stack, &mut text);
    while let Some(top) = stack.last_mut() {
        if text.room == 0 {
            break;
        }
        let Some(item) = top.items.next() else {
            text.put(if top.shape == Shape::List { "]" } else { "}" });
            stack.pop();
            continue;
        };
        text.put(top.separator(item));
        top.done += 1;
        if !top.is_end_of_list(item) {
            one(item, &mut stack, &mut text);
        }
    }
    text.finish(chars_max)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Tuple,
    List,
    Map,
}

/// A composite whose closing is not written yet.
struct Open<'a> {
    shape: Shape,
    items: Items<'a>,
    done: usize,
}

impl Open<'_> {
    /// Whether `item`, just taken, is the `[]` of a proper list.
    fn is_end_of_list(&self, item: &[u8]) -> bool {
        let is_tail = self.shape == Shape::List && self.items.count() == 0;
        is_tail && matches!(packed::view(item), View::Nil)
    }

    /// What comes before `item`, just taken.
    fn separator(&self, item: &[u8]) -> &'static str {
        match self.shape {
            _ if self.done == 0 || self.is_end_of_list(item) => "",
            Shape::List if self.items.count() == 0 => "|",
            Shape::Map if self.done % 2 == 1 => " => ",
            _ => ",",
        }
    }
}

/// Writes one level; what is inside goes on the stack.
fn one<'a>(packed: &'a [u8], stack: &mut Vec<Open<'a>>, text: &mut Text) {
    let (opening, shape, items) = match packed::view(packed) {
        View::Tuple(items) => ("{", Shape::Tuple, items),
        View::Map(items) => ("#{", Shape::Map, items),
        View::List(items) => ("[", Shape::List, items),
        View::Int(value) => return text.put(&value.to_string()),
        View::Big {
            negative,
            magnitude,
        } => return big(negative, magnitude, text),
        View::Float(value) => return text.put(&format!("{value:?}")),
        View::Atom(atom) => return name(atom.name(), text),
        View::Ext(_, bytes) => return text.put(&external::describe(bytes)),
        View::Nil => return text.put("[]"),
        View::Bits(bits) => return bitstring(&bits, text),
    };
    text.put(opening);
    stack.push(Open {
        shape,
        items,
        done: 0,
    });
}

fn big(negative: bool, magnitude: &[u8], text: &mut Text) {
    match number::bigint_of(View::Big {
        negative,
        magnitude,
    }) {
        Some(int) if magnitude.len() <= BIG_BYTES_MAX => text.put(&int.to_string()),
        _ => {
            let sign = if negative { "-" } else { "" };
            text.put(&format!("{sign}#Integer<{} bytes>", magnitude.len()));
        }
    }
}

/// An atom, in quotes where Erlang wants them.
fn name(name: &str, text: &mut Text) {
    let is_plain = name.starts_with(char::is_lowercase)
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '@')
        && !RESERVED.contains(&name);
    if is_plain {
        text.put(name);
    } else {
        quoted(name, '\'', text);
    }
}

const RESERVED: [&str; 28] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse",
    "receive", "rem", "try", "when", "xor",
];

fn quoted(name: &str, quote: char, text: &mut Text) {
    let mut out = String::from(quote);
    for char in name.chars().take(text.room) {
        match char {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ if char == quote => out.extend(['\\', quote]),
            _ if char.is_control() => out.push_str(&format!("\\x{{{:x}}}", u32::from(char))),
            _ => out.push(char),
        }
    }
    out.push(quote);
    text.put(&out);
}

/// A bitstring: text where it is readable, numbers elsewhere.
fn bitstring(bits: &Bits<'_>, text: &mut Text) {
    let shown = &bits.bytes[..bits.bytes.len().min(text.room.saturating_mul(4))];
    let readable = match str::from_utf8(shown) {
        Ok(string) => Some(string),
        // A character that the bound cut in two.
        Err(error) if shown.len() < bits.bytes.len() && error.error_len().is_none() => {
            str::from_utf8(&shown[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let readable = readable
        .filter(|string| bits.is_binary() && !string.is_empty() && !string.contains(is_unreadable));
    text.put("<<");
    if let Some(string) = readable {
        quoted(string, '"', text);
        text.put(if string.is_ascii() { "" } else { "/utf8" });
    } else {
        bytes(bits, text);
    }
    text.put(">>");
}

fn is_unreadable(char: char) -> bool {
    char.is_control() && !matches!(char, '\n' | '\t' | '\r')
}

fn bytes(bits: &Bits<'_>, text: &mut Text) {
    for (index, &byte) in bits.bytes.iter().enumerate() {
        if text.room == 0 {
            return;
        }
        let separator = if index == 0 { "" } else { "," };
        if index + 1 == bits.bytes.len() && !bits.is_binary() {
            let value = byte >> (8 - bits.last_bits);
            text.put(&format!("{separator}{value}:{}", bits.last_bits));
        } else {
            text.put(&format!("{separator}{byte}"));
        }
    }
}

/// Text under a bound; holds one character more than will be shown.
struct Text {
    text: String,
    room: usize,
}

impl Text {
    fn put(&mut self, part: &str) {
        for char in part.chars().take(self.room) {
            self.text.push(char);
            self.room -= 1;
        }
    }

    fn finish(mut self, chars_max: usize) -> String {
        if self.room > 0 {
            return self.text;
        }
        self.text.pop();
        if chars_max > 0 {
            self.text.pop();
            self.text.push(CUT);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::Atom;
    use crate::packer::Packer;

    fn shown(write: impl FnOnce(&mut Packer)) -> String {
        let mut packer = Packer::new();
        write(&mut packer);
        show(packer.as_bytes(), 60)
    }

    fn atom(name: &str) -> Atom {
        Atom::intern(name).expect("there is room")
    }

    #[test]
    fn terms_look_as_in_erlang() {
        assert_eq!(shown(|p| p.float(1.0)), "1.0");
        assert_eq!(shown(|p| p.atom(atom("größe"))), "größe");
        assert_eq!(shown(|p| p.atom(atom("It's"))), "'It\\'s'");
        assert_eq!(shown(|p| p.atom(atom("end"))), "'end'");
        assert_eq!(shown(|p| p.binary(b"a\"b")), "<<\"a\\\"b\">>");
        assert_eq!(shown(|p| p.binary("ß".as_bytes())), "<<\"ß\"/utf8>>");
        assert_eq!(shown(|p| p.binary(&[])), "<<>>");
        assert_eq!(shown(|p| p.bits(&[1, 0xe0], 3)), "<<1,7:3>>");
        assert_eq!(
            shown(|p| p.big(true, &[0, 0, 0, 0, 0, 0, 0, 0, 1])),
            "-18446744073709551616"
        );
    }

    #[test]
    fn composites_close_and_lists_show_their_tails() {
        let text = shown(|p| {
            let tuple = p.tuple_begin(3);
            let list = p.list_begin(2);
            p.int(1);
            p.int(2);
            p.nil();
            p.list_end(list);
            let list = p.list_begin(1);
            p.int(1);
            p.int(2);
            p.list_end(list);
            let map = p.map_begin(2);
            (1..=4).for_each(|value| p.int(value));
            p.map_end(map);
            p.tuple_end(tuple);
        });
        assert_eq!(text, "{[1,2],[1|2],#{1 => 2,3 => 4}}");
    }

    #[test]
    fn text_is_cut_at_its_bound_and_not_before() {
        let mut packer = Packer::new();
        packer.int(12_345);
        let cuts = [(0, ""), (1, "…"), (4, "123…"), (5, "12345"), (6, "12345")];
        for (chars_max, text) in cuts {
            assert_eq!(show(packer.as_bytes(), chars_max), text);
        }
    }

    #[test]
    fn external_terms_name_what_they_are() {
        let pid = [88, 119, 1, b'n', 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0];
        let fun = [
            113, 119, 5, b'l', b'i', b's', b't', b's', 119, 3, b'm', b'a', b'p', 97, 2,
        ];
        let kind = packed::ExtKind::Pid;
        assert_eq!(shown(|p| p.ext(kind, &pid)), "#Pid<n.9.1>");
        assert_eq!(
            shown(|p| p.ext(packed::ExtKind::Fun, &fun)),
            "fun lists:map/2"
        );
    }
}
