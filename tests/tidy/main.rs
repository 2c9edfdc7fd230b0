//! The rules of the house, as tests: what docs/ARCHITECTURE.md promises, a pull request cannot
//! quietly take back. A failure says which line breaks which rule, and what to do instead.
//!
//! | rule | where |
//! | --- | --- |
//! | who may depend on whom | [`arrows`] |
//! | the map equals the folders | [`map`] |
//! | what is said to be shown by a test is | [`guide`] |
//! | what a manifest has to say | [`manifests`] |
//! | what no source may hold: a clock in src, `unsafe`, a sleeping test | [`sources`] |

mod arrows;
mod code;
mod guide;
mod house;
mod manifests;
mod map;
mod sources;
