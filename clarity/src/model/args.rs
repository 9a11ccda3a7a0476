//! The arguments of a call, one after the other. A value of the wrong type aborts the call, as it
//! does in the virtual machine: the function never runs.

use crate::codec::{Principal, Value};

use super::{Asset, Contracts, Failure};

/// Arguments that were not read yet.
pub(super) struct Args<'a> {
    values: std::slice::Iter<'a, Value>,
    contracts: &'a Contracts,
}

impl<'a> Args<'a> {
    pub(super) fn new(values: &'a [Value], contracts: &'a Contracts) -> Self {
        Self {
            values: values.iter(),
            contracts,
        }
    }

    fn next(&mut self) -> Result<&'a Value, Failure> {
        self.values.next().ok_or(Failure::Aborted)
    }

    /// No argument may be left over.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        match self.values.next() {
            None => Ok(()),
            Some(_) => Err(Failure::Aborted),
        }
    }

    pub(super) fn uint(&mut self) -> Result<u128, Failure> {
        self.next()?.as_u128().ok_or(Failure::Aborted)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Failure> {
        self.next()?.as_bool().ok_or(Failure::Aborted)
    }

    pub(super) fn principal(&mut self) -> Result<Principal, Failure> {
        as_principal(self.next()?)
    }

    pub(super) fn maybe_principal(&mut self) -> Result<Option<Principal>, Failure> {
        optional(self.next()?, as_principal)
    }

    pub(super) fn maybe_flag(&mut self) -> Result<Option<bool>, Failure> {
        optional(self.next()?, |value| {
            value.as_bool().ok_or(Failure::Aborted)
        })
    }

    pub(super) fn buffer(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        as_buffer(self.next()?, limit)
    }

    pub(super) fn maybe_buffer(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Failure> {
        optional(self.next()?, |value| as_buffer(value, limit))
    }

    pub(super) fn ascii(&mut self, limit: usize) -> Result<String, Failure> {
        as_ascii(self.next()?, limit)
    }

    /// An optional token by trait: the only contract of this model that has the trait's functions
    /// is the test token.
    pub(super) fn token(&mut self) -> Result<Asset, Failure> {
        let token = self.maybe_principal()?;
        match &token {
            Some(principal) if *principal != self.contracts.token => Err(Failure::Aborted),
            _ => Ok(token),
        }
    }

    pub(super) fn list(&mut self, limit: usize) -> Result<&'a [Value], Failure> {
        let elements = self.next()?.as_list().ok_or(Failure::Aborted)?;
        if elements.len() > limit {
            return Err(Failure::Aborted);
        }
        Ok(elements)
    }

    pub(super) fn tuple(&mut self) -> Result<Fields<'a>, Failure> {
        Fields::of(self.next()?)
    }
}

/// The fields of a tuple argument.
pub(super) struct Fields<'a> {
    value: &'a Value,
    read: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Failure> {
        match value {
            Value::Tuple(_) => Ok(Self { value, read: 0 }),
            _ => Err(Failure::Aborted),
        }
    }

    fn get(&mut self, name: &str) -> Result<&'a Value, Failure> {
        self.read += 1;
        self.value.get(name).ok_or(Failure::Aborted)
    }

    /// The tuple has no field that was not read.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.value {
            Value::Tuple(tuple) if tuple.fields().len() == self.read => Ok(()),
            _ => Err(Failure::Aborted),
        }
    }

    pub(super) fn uint(&mut self, name: &str) -> Result<u128, Failure> {
        self.get(name)?.as_u128().ok_or(Failure::Aborted)
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        self.get(name)?.as_bool().ok_or(Failure::Aborted)
    }

    pub(super) fn maybe_principal(&mut self, name: &str) -> Result<Option<Principal>, Failure> {
        optional(self.get(name)?, as_principal)
    }

    pub(super) fn buffer(&mut self, name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        as_buffer(self.get(name)?, limit)
    }

    pub(super) fn ascii(&mut self, name: &str, limit: usize) -> Result<String, Failure> {
        as_ascii(self.get(name)?, limit)
    }
}

fn optional<T>(
    value: &Value,
    inner: impl FnOnce(&Value) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    match value.as_optional() {
        None => Err(Failure::Aborted),
        Some(None) => Ok(None),
        Some(Some(value)) => inner(value).map(Some),
    }
}

fn as_principal(value: &Value) -> Result<Principal, Failure> {
    value.as_principal().cloned().ok_or(Failure::Aborted)
}

fn as_buffer(value: &Value, limit: usize) -> Result<Vec<u8>, Failure> {
    match value.as_buffer() {
        Some(bytes) if bytes.len() <= limit => Ok(bytes.to_vec()),
        _ => Err(Failure::Aborted),
    }
}

fn as_ascii(value: &Value, limit: usize) -> Result<String, Failure> {
    match value.as_ascii() {
        Some(text) if text.len() <= limit => Ok(text.to_owned()),
        _ => Err(Failure::Aborted),
    }
}
