//! Pumps a ShardCore: feeds it batches and requests, carries out its effects.
