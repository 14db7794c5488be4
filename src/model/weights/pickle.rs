//! Reads the pickle of a PyTorch checkpoint as plain data. Nothing is ever imported or called: a
//! class stays a name, a call stays a record of what would be called.
//!
//! candle has a reader too. It copies what is remembered, so that a kilobyte of nested tuples takes all
//! memory; it reserves 4 GiB for a text because a file says so; it ends the program on deep nesting; and it prints.
//! Here every value stands once in one list and refers to others by number: memory grows with the
//! pickle's length, and nothing recurses.

use std::collections::HashMap;

/// Number of a value in [`Values`].
pub(super) type Id = u32;

/// Most values of a pickle: a state dict has about fifteen a tensor.
const MAX_VALUES: usize = 1 << 20;

/// A Python value, as far as checkpoints need it.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// `None`, booleans, floats, sets: present but without meaning here.
    Other,
    Int(i64),
    Text(&'a str),
    /// Module and name of a class or function.
    Class(Box<(&'a str, &'a str)>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What would be called with which arguments: a function's result or an object.
    Call(Id, Id),
    /// A storage, by what PyTorch names it with.
    Storage(Id),
}

/// All values of a pickle.
pub(super) struct Values<'a> {
    list: Vec<Value<'a>>,
    /// The whole.
    pub(super) top: Id,
}

impl<'a> Values<'a> {
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        self.list.get(id as usize).unwrap_or(&Value::Other)
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn class(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.get(id) {
            Value::Class(class) => Some(**class),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }
}

/// Reads a pickle; what is wrong with it is said in a few words.
pub(super) fn read(bytes: &[u8]) -> Result<Values<'_>, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let top = machine.run()?;
    Ok(Values {
        list: machine.values,
        top,
    })
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

const SHORT: &str = "the pickle ends in the middle";
const EMPTY: &str = "the pickle takes values that are not there";

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let at = self.at;
            let code = self.byte()?;
            match code {
                // PROTO, FRAME
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_mark()?),
                b'2' => self.stack.push(self.last()?),
                b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Other)?;
                }
                // Integers
                b'J' => {
                    let n = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()))?;
                }
                b'K' => {
                    let n = self.byte()?;
                    self.push(Value::Int(n.into()))?;
                }
                b'M' => {
                    let n = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()))?;
                }
                0x8a => {
                    let n = self.byte()?.into();
                    self.long(n)?;
                }
                0x8b => {
                    let n = self.length4()?;
                    self.long(n)?;
                }
                // Texts and bytes
                b'X' => {
                    let n = self.length4()?;
                    self.text(n)?;
                }
                0x8c => {
                    let n = self.byte()?.into();
                    self.text(n)?;
                }
                0x8d => {
                    let n = self.length8()?;
                    self.text(n)?;
                }
                b'U' | b'C' => {
                    let n = self.byte()?.into();
                    self.take(n)?;
                    self.push(Value::Other)?;
                }
                b'T' | b'B' => {
                    let n = self.length4()?;
                    self.take(n)?;
                    self.push(Value::Other)?;
                }
                0x8e => {
                    let n = self.length8()?;
                    self.take(n)?;
                    self.push(Value::Other)?;
                }
                // Memory
                b'q' => {
                    let key = self.byte()?.into();
                    self.remember(key)?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.remember(key)?;
                }
                0x94 => {
                    let key = u32::try_from(self.memo.len()).map_err(|_| SHORT)?;
                    self.remember(key)?;
                }
                b'h' => {
                    let key = self.byte()?.into();
                    self.recall(key)?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.recall(key)?;
                }
                // Containers
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                0x8f => self.push(Value::Other)?,
                0x85..=0x87 => {
                    let from = (self.stack.len())
                        .checked_sub(usize::from(code - 0x84))
                        .filter(|from| self.marks.last().is_none_or(|mark| mark <= from))
                        .ok_or(EMPTY)?;
                    let items = self.stack.split_off(from);
                    self.push(Value::Tuple(items))?;
                }
                b't' => {
                    let items = self.pop_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                b'l' => {
                    let items = self.pop_mark()?;
                    self.push(Value::List(items))?;
                }
                b'd' => {
                    let items = pairs(&self.pop_mark()?);
                    self.push(Value::Dict(items))?;
                }
                0x91 => {
                    self.pop_mark()?;
                    self.push(Value::Other)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(&[item])?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_mark()?;
                    self.extend(&items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set(&items)?;
                }
                // Classes and calls, of which only a record is kept
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Class(Box::new((module, name))))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let text = |id: Id| match self.values.get(id as usize) {
                        Some(Value::Text(text)) => Ok(*text),
                        _ => Err(EMPTY),
                    };
                    let class = (text(module)?, text(name)?);
                    self.push(Value::Class(Box::new(class)))?;
                }
                b'R' | 0x81 => {
                    let (args, callable) = (self.pop()?, self.pop()?);
                    self.call(callable, args)?;
                }
                0x92 => {
                    self.pop()?;
                    let (args, callable) = (self.pop()?, self.pop()?);
                    self.call(callable, args)?;
                }
                // The state of an object: only its class matters.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Value::Storage(id))?;
                }
                _ => return Err(format!("the pickle has code 0x{code:02x} at byte {at}")),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = *self.bytes.get(self.at).ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).ok_or(SHORT)?;
        let part = self.bytes.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let part = self.take(N)?;
        part.first_chunk().copied().ok_or_else(|| SHORT.to_owned())
    }

    fn length4(&mut self) -> Result<usize, String> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| SHORT.to_owned())
    }

    fn length8(&mut self) -> Result<usize, String> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| SHORT.to_owned())
    }

    /// The rest of a line, without its end.
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b'\n').ok_or(SHORT)?;
        let line = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a class has a name that is no text".to_owned())
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
        self.push(Value::Text(text))
    }

    /// A little-endian integer of any length; those beyond 64 bits have no meaning here.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            return self.push(Value::Other);
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) {
            0xff
        } else {
            0
        };
        let mut whole = [fill; 8];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.push(Value::Int(i64::from_le_bytes(whole)))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        if self.values.len() >= MAX_VALUES {
            return Err(format!("the pickle has more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(EMPTY.to_owned());
        }
        self.stack.pop().ok_or_else(|| EMPTY.to_owned())
    }

    fn last(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| EMPTY.to_owned())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or(EMPTY)?;
        if mark > self.stack.len() {
            return Err(EMPTY.to_owned());
        }
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let id = self.last()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or(EMPTY)?;
        if self.stack.len() >= MAX_VALUES {
            return Err(format!("the pickle has more than {MAX_VALUES} values"));
        }
        self.stack.push(id);
        Ok(())
    }

    fn target(&mut self) -> Result<&mut Value<'a>, String> {
        let id = self.last()?;
        self.values
            .get_mut(id as usize)
            .ok_or_else(|| EMPTY.to_owned())
    }

    fn extend(&mut self, items: &[Id]) -> Result<(), String> {
        if let Value::List(list) = self.target()? {
            list.extend_from_slice(items);
        }
        Ok(())
    }

    /// Entries for a dict; subclasses of dict keep none.
    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        if let Value::Dict(dict) = self.target()? {
            dict.extend(pairs(items));
        }
        Ok(())
    }

    fn call(&mut self, callable: Id, args: Id) -> Result<(), String> {
        let class = match self.values.get(callable as usize) {
            Some(Value::Class(class)) => Some(**class),
            _ => None,
        };
        match class {
            Some(("collections", "OrderedDict" | "defaultdict")) => {
                self.push(Value::Dict(Vec::new()))
            }
            _ => self.push(Value::Call(callable, args)),
        }
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    let (pairs, _) = items.as_chunks::<2>();
    pairs.iter().map(|[key, value]| (*key, *value)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plain_values() {
        // {'a': (1, 2)} by pickle.dumps(..., protocol=2).
        let values = read(b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01K\x02\x86q\x02s.").unwrap();
        let [(key, value)] = values.dict(values.top).unwrap() else {
            panic!("one entry");
        };
        assert_eq!(values.text(*key), Some("a"));
        let items = values.tuple(*value).unwrap();
        assert_eq!(
            items.iter().map(|i| values.int(*i)).collect::<Vec<_>>(),
            [Some(1), Some(2)]
        );
    }

    #[test]
    fn bombs_stay_small() {
        // Sixty tuples of the tuple before, twice each: 2^60 values for who copies them.
        let mut bytes = b"\x80\x02)q\x00".to_vec();
        for i in 0..60u8 {
            bytes.extend_from_slice(&[b'h', i, b'h', i, 0x86, b'q', i + 1]);
        }
        bytes.push(b'.');
        assert!(read(&bytes).unwrap().list.len() < 100);
        // A million nested tuples end in words, not in an overflow.
        let mut deep = b"\x80\x02)".to_vec();
        deep.resize(1 << 21, 0x85);
        assert!(read(&deep).is_err());
        // A text of 4 GiB that is not there.
        assert_eq!(read(b"X\xff\xff\xff\xff").err().as_deref(), Some(SHORT));
    }
}
