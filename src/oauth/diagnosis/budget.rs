//! The work that a search may do: making base strings, and comparing signatures.

/// The work that is left.
pub(super) struct WorkBudget(u32);

impl WorkBudget {
    pub(super) const fn new(work: u32) -> Self {
        Self(work)
    }

    /// Takes some work; returns `None`, and leaves nothing, if less is left.
    pub(super) fn spend(&mut self, cost: u32) -> Option<()> {
        let Some(left) = self.0.checked_sub(cost) else {
            self.0 = 0;
            return None;
        };
        self.0 = left;
        #[cfg(test)]
        spent::add(cost);
        Some(())
    }

    /// Adds work.
    pub(super) const fn add(&mut self, work: u32) {
        self.0 = self.0.saturating_add(work);
    }
}

/// Returns the extra cost of a long text.
pub(super) fn length_cost(len: usize) -> u32 {
    u32::try_from(len / USUAL_LEN).unwrap_or(u32::MAX)
}

/// The number of HMACs that take as long as a verification by RSA with 2048 bits. More bits cost the
/// square.
pub(super) const RSA_COST: u32 = 5;

/// The length up to which a base string costs nothing extra.
const USUAL_LEN: usize = 768;

/// The work of this thread, for tests.
#[cfg(test)]
pub(crate) mod spent {
    use std::cell::Cell;

    thread_local! {
        static SPENT: Cell<u32> = const { Cell::new(0) };
    }

    pub(super) fn add(cost: u32) {
        SPENT.set(SPENT.get() + cost);
    }

    /// Returns the work since the last call.
    pub(crate) fn take() -> u32 {
        SPENT.take()
    }
}
