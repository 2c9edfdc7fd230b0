//! Every function and method: its name, how it is called, how many arguments it takes.

use crate::times::Part;

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `f(x, …)`.
    Function,
    /// `x.f(…)`.
    Method,
    /// `f(x, …)` or `x.f(…)`.
    Both,
}

/// One row: which function, and how many arguments it takes, the one before the dot counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) function: Function,
    name: &'static str,
    pub(crate) form: Form,
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// Makes the enum and the table of one list.
macro_rules! functions {
    ($($function:ident $name:literal $form:ident $least:literal..=$most:expr;)*) => {
        /// A function or method.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Function { $($function,)* }

        const SIGNATURES: &[Signature] = &[$(Signature {
            function: Function::$function,
            name: $name,
            form: Form::$form,
            least: $least,
            most: $most,
        },)*];
    };
}

/// As many as fit an expression.
const ANY: usize = usize::MAX;

functions! {
    Bool "bool" Function 1..=1;
    Bytes "bytes" Function 1..=1;
    Double "double" Function 1..=1;
    Duration "duration" Function 1..=1;
    Dyn "dyn" Function 1..=1;
    Int "int" Function 1..=1;
    Text "string" Function 1..=1;
    Timestamp "timestamp" Function 1..=1;
    Type "type" Function 1..=1;
    Uint "uint" Function 1..=1;
    Max "max" Function 1..=ANY;
    Min "min" Function 1..=ANY;
    Abs "math.abs" Function 1..=1;
    Ceil "math.ceil" Function 1..=1;
    Floor "math.floor" Function 1..=1;
    Greatest "math.greatest" Function 1..=ANY;
    Least "math.least" Function 1..=ANY;
    Round "math.round" Function 1..=1;
    Sign "math.sign" Function 1..=1;
    Trunc "math.trunc" Function 1..=1;
    Size "size" Both 1..=1;
    Matches "matches" Both 2..=2;
    CharAt "charAt" Method 2..=2;
    Contains "contains" Method 2..=2;
    EndsWith "endsWith" Method 2..=2;
    IndexOf "indexOf" Method 2..=3;
    Join "join" Method 1..=2;
    LastIndexOf "lastIndexOf" Method 2..=3;
    LowerAscii "lowerAscii" Method 1..=1;
    Replace "replace" Method 3..=4;
    Reverse "reverse" Method 1..=1;
    Split "split" Method 2..=3;
    StartsWith "startsWith" Method 2..=2;
    Substring "substring" Method 2..=3;
    Trim "trim" Method 1..=1;
    UpperAscii "upperAscii" Method 1..=1;
    GetDate "getDate" Method 1..=2;
    GetDayOfMonth "getDayOfMonth" Method 1..=2;
    GetDayOfWeek "getDayOfWeek" Method 1..=2;
    GetDayOfYear "getDayOfYear" Method 1..=2;
    GetFullYear "getFullYear" Method 1..=2;
    GetHours "getHours" Method 1..=2;
    GetMilliseconds "getMilliseconds" Method 1..=2;
    GetMinutes "getMinutes" Method 1..=2;
    GetMonth "getMonth" Method 1..=2;
    GetSeconds "getSeconds" Method 1..=2;
}

impl Function {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        SIGNATURES[self as usize].name
    }

    /// The part of a time that it asks for, if it does.
    pub(crate) fn part(self) -> Option<Part> {
        Some(match self {
            Function::GetDate => Part::Date,
            Function::GetDayOfMonth => Part::DayOfMonth,
            Function::GetDayOfWeek => Part::DayOfWeek,
            Function::GetDayOfYear => Part::DayOfYear,
            Function::GetFullYear => Part::FullYear,
            Function::GetHours => Part::Hours,
            Function::GetMilliseconds => Part::Milliseconds,
            Function::GetMinutes => Part::Minutes,
            Function::GetMonth => Part::Month,
            Function::GetSeconds => Part::Seconds,
            _ => return None,
        })
    }
}

impl Signature {
    /// The function or method of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Signature> {
        SIGNATURES.iter().find(|signature| signature.name == name)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it can be called with the value it works on before a dot, or in the parentheses.
    pub(crate) fn takes(&self, method: bool) -> bool {
        match self.form {
            Form::Function => !method,
            Form::Method => method,
            Form::Both => true,
        }
    }
}

/// The names of all that are called this way.
pub(crate) fn names(method: bool) -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().filter(move |signature| signature.takes(method)).map(|row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_stands_at_its_own_row_under_a_name_of_its_own() {
        for (row, signature) in SIGNATURES.iter().enumerate() {
            assert_eq!(signature.function as usize, row);
            assert!(signature.least >= 1 && signature.least <= signature.most);
            let same = SIGNATURES.iter().filter(|other| other.name == signature.name).count();
            assert_eq!(same, 1, "{}", signature.name);
        }
    }
}
