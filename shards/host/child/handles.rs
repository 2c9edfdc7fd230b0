//! Handles of a plugin: one per configuration, made in front of its first task.
//!
//! Invariants:
//! - `init` runs once at a time for a configuration, and never while its handle is in use;
//! - a configuration that `validate_config` refuses never comes to `init`;
//! - at most [`HANDLES_MAX`] handles are kept, as there are no more threads than that; one in use is never
//!   given back.

use super::calls;
use super::library::Functions;
use plugin::TaskError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handles kept. A workflow has a configuration per task, so this is many workflows; beyond, of those
/// that nobody uses the one that was not used for the longest time is given back, and made again when it
/// is needed.
pub(crate) const HANDLES_MAX: usize = 64;

/// The handles of this process.
pub(crate) struct Handles {
    functions: Functions,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    slots: HashMap<Box<str>, (u64, Arc<Slot>)>,
    uses: u64,
}

/// A configuration's handle, from before it is made.
#[derive(Default)]
struct Slot {
    made: Mutex<Option<Arc<Handle>>>,
}

impl Slot {
    /// Nobody makes its handle, waits for it or uses it. For who holds the table's lock, in which a slot
    /// is found.
    fn is_free(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
            && lock(&self.made).as_ref().is_none_or(|handle| Arc::strong_count(handle) == 1)
    }
}

/// A handle, given back when its last user is through.
pub(crate) struct Handle {
    pub(crate) raw: calls::RawHandle,
    functions: Functions,
}

impl Drop for Handle {
    fn drop(&mut self) {
        calls::cleanup(&self.functions, &self.raw);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handles {
    pub(crate) fn new(functions: Functions) -> Self {
        Self { functions, kept: Mutex::default() }
    }

    /// The handle of a configuration. One that could not be made is tried anew by the next task, and not
    /// kept until then.
    pub(crate) fn of(&self, config: &str) -> Result<Arc<Handle>, TaskError> {
        let slot = self.slot(config);
        let handle = self.made(&slot, config);
        if handle.is_err() {
            let mut kept = lock(&self.kept);
            // Ours and the table's: whoever waits for it as well makes it right now.
            if Arc::strong_count(&slot) == 2 {
                kept.slots.remove(config);
            }
        }
        handle
    }

    fn made(&self, slot: &Slot, config: &str) -> Result<Arc<Handle>, TaskError> {
        let mut made = lock(&slot.made);
        if let Some(handle) = &*made {
            return Ok(Arc::clone(handle));
        }
        // It was asked when the workflow was loaded, but of another process, and maybe another version.
        calls::validate(&self.functions, config)?;
        let raw = calls::init(&self.functions, config)?;
        let handle = Arc::new(Handle { raw, functions: self.functions });
        *made = Some(Arc::clone(&handle));
        Ok(handle)
    }

    fn slot(&self, config: &str) -> Arc<Slot> {
        let mut kept = lock(&self.kept);
        kept.uses += 1;
        let uses = kept.uses;
        if let Some((used, slot)) = kept.slots.get_mut(config) {
            *used = uses;
            return Arc::clone(slot);
        }
        let mut dropped = None;
        if kept.slots.len() >= HANDLES_MAX {
            let free = kept.slots.iter().filter(|(_, (_, slot))| slot.is_free());
            let oldest = free.min_by_key(|(_, (used, _))| *used);
            let oldest = oldest.map(|(config, _)| config.clone());
            dropped = oldest.and_then(|config| kept.slots.remove(&config));
        }
        let slot = Arc::<Slot>::default();
        kept.slots.insert(config.into(), (uses, Arc::clone(&slot)));
        drop(kept);
        // Outside of the lock: `cleanup` may take its time.
        drop(dropped);
        slot
    }

    /// Gives all back that nobody uses.
    pub(crate) fn clear(&self) {
        let slots = std::mem::take(&mut lock(&self.kept).slots);
        drop(slots);
    }
}
