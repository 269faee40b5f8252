//! The slots of a Cluster: which primary has which, and keys that are in a given slot.

use std::collections::BTreeSet;

use redis::Value;

use super::error::CommandError;
use super::link::read;

/// A range of slots, and the id of its primary.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotRange {
    pub(super) first: u16,
    last: u16,
    pub(super) primary: String,
}

/// Returns the ranges in the answer to `CLUSTER SLOTS`, in the order of their slots.
pub(super) fn slot_ranges(answer: Value) -> Result<Vec<SlotRange>, CommandError> {
    let ranges: Vec<Vec<Value>> = read(answer)?;
    let ranges = ranges.into_iter().map(SlotRange::parse);
    let mut ranges = ranges.collect::<Result<Vec<_>, _>>()?;
    ranges.sort_unstable();
    Ok(ranges)
}

/// Returns the lowest slot of each primary.
pub(super) fn lowest_slots(ranges: &[SlotRange]) -> Vec<u16> {
    let mut seen = BTreeSet::new();
    let lowest = ranges.iter().filter(|range| seen.insert(&range.primary));
    lowest.map(|range| range.first).collect()
}

impl SlotRange {
    fn parse(range: Vec<Value>) -> Result<Self, CommandError> {
        let mut range = range.into_iter();
        let (Some(first), Some(last), Some(primary)) = (range.next(), range.next(), range.next())
        else {
            return Err(CommandError::UnexpectedAnswer);
        };
        Ok(Self {
            first: read(first)?,
            last: read(last)?,
            primary: id(primary)?,
        })
    }
}

/// Reads the id of a node, which follows its host, which may be unknown, and its port.
fn id(node: Value) -> Result<String, CommandError> {
    let id = read::<Vec<Value>>(node)?.into_iter().nth(2);
    read(id.ok_or(CommandError::UnexpectedAnswer)?)
}

/// Returns a hash tag that is in `slot`: the first number that is.
pub(super) fn tag_in(slot: u16) -> String {
    (0_u32..)
        .map(|number| number.to_string())
        .find(|tag| slot_of(tag.as_bytes()) == slot)
        .unwrap_or_default()
}

/// Returns the slot of a hash tag: its CRC16 modulo the number of slots.
fn slot_of(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

/// The number of slots of every Cluster.
const SLOTS: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_in_its_slot() {
        // The check value of CRC-16/XMODEM.
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        for slot in [0, 1, 5461, 16_383] {
            assert_eq!(slot_of(tag_in(slot).as_bytes()), slot);
        }
    }

    #[test]
    fn each_primary_has_its_lowest_slot() {
        let node = |id: &str| {
            Value::Array(vec![
                Value::Nil,
                Value::Int(7000),
                Value::BulkString(id.into()),
            ])
        };
        let range = |start, end, id| {
            Value::Array(vec![
                Value::Int(start),
                Value::Int(end),
                node(id),
                node("replica"),
            ])
        };
        let answer = Value::Array(vec![
            range(500, 900, "a"),
            range(0, 99, "b"),
            range(100, 499, "a"),
        ]);
        assert_eq!(lowest_slots(&slot_ranges(answer).unwrap()), [0, 100]);
        assert_eq!(
            slot_ranges(Value::Okay),
            Err(CommandError::UnexpectedAnswer)
        );
    }
}
