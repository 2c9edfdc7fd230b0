//! Where the leaves meet: records, partitions, and the minds that nodes run.
