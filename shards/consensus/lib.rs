//! Pumps the ConsensusCore: journal writes, snapshots.
