//! The functions a guard or body may call: what `ets:match_spec_compile/1` of this release
//! accepts.
//!
//! The special forms (`and`, `or`, `andalso`, `orelse`, `const`) are not here: the compiler of
//! expressions knows them. Trace actions are refused by `ets`, so they are not here either.

use std::cmp::Ordering;

use super::release;

/// A callable function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Is(Kind),
    IsBoolean,
    IsFunction2,
    IsRecord,
    IsMapKey,
    Element,
    Hd,
    Tl,
    Length,
    Size,
    TupleSize,
    ByteSize,
    BitSize,
    MapSize,
    MapGet,
    BinaryPart2,
    BinaryPart3,
    Node0,
    Node1,
    SelfPid,
    Not,
    Xor,
    Compare(Comparison),
    Max,
    Min,
    Unary(Unary),
    Binary(Binary),
}

/// A type that a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Atom,
    Float,
    Integer,
    List,
    Number,
    Pid,
    Port,
    Reference,
    Tuple,
    Map,
    Binary,
    Bitstring,
    Function,
}

/// A comparison of two terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Exact,
    NotExact,
}

/// A numeric function of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Abs,
    Ceil,
    Floor,
    Round,
    Trunc,
    Float,
    Plus,
    Minus,
    Bnot,
}

/// A numeric function of two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Div,
    Rem,
    Band,
    Bor,
    Bxor,
    Bsl,
    Bsr,
}

impl Comparison {
    /// The comparison that holds when its arguments are exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            same => same,
        }
    }

    /// Whether it holds between terms of this order; for the exact ones the order must come
    /// from terms that are equal only when they are `=:=`.
    #[inline]
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Equal | Self::Exact => order.is_eq(),
            Self::NotEqual | Self::NotExact => order.is_ne(),
        }
    }
}

impl Function {
    /// The function of this name and number of arguments, if guards and bodies may call it.
    pub(super) fn find(name: &str, arity: usize) -> Option<Self> {
        Self::find_old(name, arity).or_else(|| {
            if release::functions_of_26() {
                Self::find_new(name, arity)
            } else {
                None
            }
        })
    }

    fn find_new(name: &str, arity: usize) -> Option<Self> {
        Some(match (name, arity) {
            ("is_bitstring", 1) => Self::Is(Kind::Bitstring),
            ("is_boolean", 1) => Self::IsBoolean,
            ("is_function", 2) => Self::IsFunction2,
            ("tuple_size", 1) => Self::TupleSize,
            ("ceil", 1) => Self::Unary(Unary::Ceil),
            ("floor", 1) => Self::Unary(Unary::Floor),
            ("max", 2) => Self::Max,
            ("min", 2) => Self::Min,
            _ => return None,
        })
    }

    fn find_old(name: &str, arity: usize) -> Option<Self> {
        match arity {
            0 => Self::find_0(name),
            1 => Self::find_1(name),
            2 => Self::find_2(name),
            3 => match name {
                "is_record" => Some(Self::IsRecord),
                "binary_part" => Some(Self::BinaryPart3),
                _ => None,
            },
            _ => None,
        }
    }

    fn find_0(name: &str) -> Option<Self> {
        match name {
            "node" => Some(Self::Node0),
            "self" => Some(Self::SelfPid),
            _ => None,
        }
    }

    fn find_1(name: &str) -> Option<Self> {
        Some(match name {
            "is_atom" => Self::Is(Kind::Atom),
            "is_float" => Self::Is(Kind::Float),
            "is_integer" => Self::Is(Kind::Integer),
            "is_list" => Self::Is(Kind::List),
            "is_number" => Self::Is(Kind::Number),
            "is_pid" => Self::Is(Kind::Pid),
            "is_port" => Self::Is(Kind::Port),
            "is_reference" => Self::Is(Kind::Reference),
            "is_tuple" => Self::Is(Kind::Tuple),
            "is_map" => Self::Is(Kind::Map),
            "is_binary" => Self::Is(Kind::Binary),
            "is_function" => Self::Is(Kind::Function),
            "hd" => Self::Hd,
            "tl" => Self::Tl,
            "length" => Self::Length,
            "size" => Self::Size,
            "byte_size" => Self::ByteSize,
            "bit_size" => Self::BitSize,
            "map_size" => Self::MapSize,
            "node" => Self::Node1,
            "not" => Self::Not,
            "abs" => Self::Unary(Unary::Abs),
            "round" => Self::Unary(Unary::Round),
            "trunc" => Self::Unary(Unary::Trunc),
            "float" => Self::Unary(Unary::Float),
            "+" => Self::Unary(Unary::Plus),
            "-" => Self::Unary(Unary::Minus),
            "bnot" => Self::Unary(Unary::Bnot),
            _ => return None,
        })
    }

    fn find_2(name: &str) -> Option<Self> {
        Some(match name {
            "is_map_key" => Self::IsMapKey,
            "element" => Self::Element,
            "map_get" => Self::MapGet,
            "binary_part" => Self::BinaryPart2,
            "xor" => Self::Xor,
            ">" => Self::Compare(Comparison::Greater),
            ">=" => Self::Compare(Comparison::GreaterEqual),
            "<" => Self::Compare(Comparison::Less),
            "=<" => Self::Compare(Comparison::LessEqual),
            "==" => Self::Compare(Comparison::Equal),
            "/=" => Self::Compare(Comparison::NotEqual),
            "=:=" => Self::Compare(Comparison::Exact),
            "=/=" => Self::Compare(Comparison::NotExact),
            "+" => Self::Binary(Binary::Add),
            "-" => Self::Binary(Binary::Subtract),
            "*" => Self::Binary(Binary::Multiply),
            "/" => Self::Binary(Binary::Divide),
            "div" => Self::Binary(Binary::Div),
            "rem" => Self::Binary(Binary::Rem),
            "band" => Self::Binary(Binary::Band),
            "bor" => Self::Binary(Binary::Bor),
            "bxor" => Self::Binary(Binary::Bxor),
            "bsl" => Self::Binary(Binary::Bsl),
            "bsr" => Self::Binary(Binary::Bsr),
            _ => return None,
        })
    }

    /// How many arguments it takes, 0..=3.
    pub(super) fn arity(self) -> usize {
        match self {
            Self::Node0 | Self::SelfPid => 0,
            Self::IsRecord | Self::BinaryPart3 => 3,
            Self::IsMapKey
            | Self::IsFunction2
            | Self::Max
            | Self::Min
            | Self::Element
            | Self::MapGet
            | Self::BinaryPart2
            | Self::Xor
            | Self::Compare(_)
            | Self::Binary(_) => 2,
            _ => 1,
        }
    }
}
