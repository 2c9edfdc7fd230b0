//! One Raft group over tikv `raft`, as a pure state machine.
