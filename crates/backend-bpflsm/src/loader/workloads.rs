//! The map `workloads`, in memory shared with the programs.
//!
//! What a workload is judged by is one word, generation and slot together, and changes by one store.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use super::sys::SharedArray;
use crate::abi;
use crate::binding::{Binding, Generation};

/// `struct gb_workload`: its size, and where its fields are.
const SIZE: usize = 24;
const CURRENT: usize = 0;
const INCARNATION: usize = 8;
const SETTINGS: usize = 12;
const RATE: usize = 16;

/// What a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) generation: Generation,
    pub(super) slot: u32,
}

impl Current {
    fn word(self) -> u64 {
        u64::from(self.generation.0) << 32 | u64::from(self.slot)
    }

    fn of(word: u64) -> Self {
        Self {
            generation: Generation((word >> 32) as u32),
            slot: word as u32,
        }
    }
}

/// The map `workloads`, and which of its numbers are free.
#[derive(Debug)]
pub(super) struct Workloads {
    array: SharedArray,
    /// First in, first out: a number rests before it is used again.
    free: VecDeque<u32>,
    most: u32,
}

impl Workloads {
    /// All of them unbound.
    pub(super) fn new(map: impl AsFd, most: u32) -> io::Result<Self> {
        let workloads = Self::adopt(map, most)?;
        for number in 0..most {
            workloads.set_slot(number, Generation(0), abi::NONE);
        }
        Ok(Self {
            free: (0..most).collect(),
            ..workloads
        })
    }

    /// As an earlier run left them.
    pub(super) fn adopt(map: impl AsFd, most: u32) -> io::Result<Self> {
        let array = SharedArray::new(map.as_fd(), most as usize * SIZE)?;
        let mut workloads = Self {
            array,
            free: VecDeque::new(),
            most,
        };
        workloads.free = (0..most)
            .filter(|number| workloads.current(*number).slot == abi::NONE)
            .collect();
        Ok(workloads)
    }

    pub(super) const fn most(&self) -> u32 {
        self.most
    }

    fn at(number: u32) -> usize {
        number as usize * SIZE
    }

    fn set_slot(&self, number: u32, generation: Generation, slot: u32) {
        let current = Current { generation, slot };
        self.array
            .store_u64(Self::at(number) + CURRENT, current.word());
    }

    pub(super) fn current(&self, number: u32) -> Current {
        Current::of(self.array.load_u64(Self::at(number) + CURRENT))
    }

    pub(super) fn incarnation(&self, number: u32) -> u32 {
        self.array.load_u32(Self::at(number) + INCARNATION)
    }

    pub(super) fn settings(&self, number: u32) -> u32 {
        self.array.load_u32(Self::at(number) + SETTINGS)
    }

    /// The handles of all that are bound.
    pub(super) fn bound(&self) -> impl Iterator<Item = (Binding, Current)> {
        (0..self.most).filter_map(|workload| {
            let current = self.current(workload);
            let incarnation = self.incarnation(workload);
            (current.slot != abi::NONE).then_some((
                Binding {
                    workload,
                    incarnation,
                },
                current,
            ))
        })
    }

    /// Whether the handle is that of what is bound.
    pub(super) fn is_bound(&self, binding: Binding) -> bool {
        binding.workload < self.most
            && self.incarnation(binding.workload) == binding.incarnation
            && self.current(binding.workload).slot != abi::NONE
    }

    /// Binds a free number; `None` where there is none.
    pub(super) fn bind(&mut self, current: Current, settings: u32, rate: u32) -> Option<Binding> {
        let workload = self.free.pop_front()?;
        let at = Self::at(workload);
        let incarnation = self.incarnation(workload).max(1);
        self.array.store_u32(at + SETTINGS, settings);
        self.array.store_u32(at + RATE, rate);
        self.array.store_u32(at + INCARNATION, incarnation);
        self.set_slot(workload, current.generation, current.slot);
        Some(Binding {
            workload,
            incarnation,
        })
    }

    /// Judges a workload by another table from now on.
    pub(super) fn replace(&self, number: u32, current: Current) {
        self.set_slot(number, current.generation, current.slot);
    }

    /// Frees a number. What still carries the old incarnation belongs to nothing.
    pub(super) fn unbind(&mut self, number: u32) {
        self.set_slot(number, self.current(number).generation, abi::NONE);
        let next = self.incarnation(number).wrapping_add(1).max(1);
        self.array.store_u32(Self::at(number) + INCARNATION, next);
        self.free.push_back(number);
    }
}

#[cfg(test)]
mod tests;
