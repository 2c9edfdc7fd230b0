//! The names of what a node counts. Dashboards and alerts go by them: a name does not change its
//! meaning. What a network of nodes adds (gossip, calls between nodes) is named where it is built.

use crate::metric::{CounterFamily, GaugeFamily, HistogramFamily, Merge, Unit};
use crate::summary::SummaryFamily;

/// Times from one microsecond to ten seconds. Unit: nanoseconds.
pub const DURATION_BOUNDS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Times from a millisecond to a day: what workflows and their tasks take. Unit: nanoseconds.
pub const LONG_DURATION_BOUNDS: &[u64] = &[
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
    300_000_000_000,
    900_000_000_000,
    3_600_000_000_000,
    14_400_000_000_000,
    86_400_000_000_000,
];

/// Powers of two up to 4,096: records of a batch, requests of a wake-up.
pub const COUNT_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

macro_rules! families {
    (
        counters { $($counter:ident = $counter_name:literal in $counter_unit:ident, $counter_help:literal;)* }
        gauges { $($gauge:ident = $gauge_name:literal by $merge:ident, $gauge_help:literal;)* }
        histograms { $($histogram:ident = $histogram_name:literal in $unit:ident over $bounds:ident, $histogram_help:literal;)* }
        summaries { $($summary:ident = $summary_name:literal in $summary_unit:ident, $summary_help:literal;)* }
    ) => {
        $(#[doc = $counter_help] pub static $counter: CounterFamily =
            CounterFamily { name: $counter_name, help: $counter_help, unit: Unit::$counter_unit };)*
        $(#[doc = $gauge_help] pub static $gauge: GaugeFamily =
            GaugeFamily { name: $gauge_name, help: $gauge_help, merge: Merge::$merge };)*
        $(#[doc = $histogram_help] pub static $histogram: HistogramFamily = HistogramFamily {
            name: $histogram_name,
            help: $histogram_help,
            unit: Unit::$unit,
            bounds: $bounds,
        };)*
        $(#[doc = $summary_help] pub static $summary: SummaryFamily =
            SummaryFamily { name: $summary_name, help: $summary_help, unit: Unit::$summary_unit };)*

        #[cfg(test)]
        const COUNTERS: &[&CounterFamily] = &[$(&$counter,)*];
        #[cfg(test)]
        const GAUGES: &[&GaugeFamily] = &[$(&$gauge,)*];
        #[cfg(test)]
        const HISTOGRAMS: &[&HistogramFamily] = &[$(&$histogram,)*];
        #[cfg(test)]
        const SUMMARIES: &[&SummaryFamily] = &[$(&$summary,)*];
    };
}

families! {
    counters {
        MESSAGES_RECEIVED = "distric_messages_received_total" in One, "Messages by what became of them (label outcome: accepted, duplicate, conflict, refused).";
        BATCHES_REMATCHED = "distric_batches_rematched_total" in One, "Times a core's batches were matched again, as the catalogue changed under them.";
        WORKFLOWS_STARTED = "distric_workflows_started_total" in One, "Instances started.";
        WORKFLOWS_FINISHED = "distric_workflows_finished_total" in One, "Instances ended, by their last state (label status).";
        WORKERS_LOST = "distric_workers_lost_total" in One, "Workers whose lease was over, as seen by the node that led.";
        RAFT_LEADER_CHANGES = "distric_raft_leader_changes_total" in One, "Times another leader was seen.";
        RAFT_MESSAGES_DROPPED = "distric_raft_messages_dropped_total" in One, "Messages of other coordinators that were not listened to (label reason).";
        PEER_MESSAGES_UNSENT = "distric_peer_messages_unsent_total" in One, "Messages for other coordinators that could not be sent: no link, or 32 MiB wait on it.";
        JOURNAL_WRITTEN = "distric_journal_written_bytes_total" in One, "Bytes written to the journal, padding included.";
        JOURNAL_SYNCS = "distric_journal_syncs_total" in One, "Times the journal was made durable.";
        HTTP_REQUESTS = "distric_http_requests_total" in One, "Requests answered, by route and status (labels route, status).";
        TCP_CONNECTIONS = "tcp_connections_total" in One, "Connections accepted, by protocol (label protocol).";
        TCP_BYTES_SENT = "tcp_bytes_sent_total" in One, "Bytes sent on connections (label protocol).";
        TCP_BYTES_RECEIVED = "tcp_bytes_received_total" in One, "Bytes received on connections (label protocol).";
        TCP_ERRORS = "tcp_errors_total" in One, "Connections that ended badly, by reason and protocol (labels error_type, protocol).";
        TCP_POOL_CONNECTION_REUSE = "tcp_pool_connection_reuse_total" in One, "Times a kept connection was used again (label protocol).";
        PLUGIN_TASKS = "distric_plugin_tasks_total" in One, "Tasks of a plugin that ended on this node (labels plugin, code: ok, or why it failed).";
        PLUGIN_TASKS_AGAIN = "distric_plugin_tasks_again_total" in One, "Tasks of a plugin begun again because their process ended under them (label plugin).";
        PLUGIN_PROCESSES_STARTED = "distric_plugin_processes_started_total" in One, "Processes started for a plugin (label plugin).";
        PLUGIN_PROCESSES_ENDED = "distric_plugin_processes_ended_total" in One, "Processes of a plugin that ended before their time (labels plugin, how: crashed, killed).";
        PLUGIN_LINES = "distric_plugin_lines_total" in One, "Lines that a plugin wrote (labels plugin, kept: true, or false where they were too many).";
        RPC_CALLS = "rpc_calls_total" in One, "Calls over the binary protocol, served or made (labels msg_type, side).";
        RPC_ERRORS = "rpc_errors_total" in One, "Calls over the binary protocol that failed (labels msg_type, side, error_type).";
        CORE_BUSY = "distric_core_busy_seconds_total" in Nanoseconds, "Time that a core was at work (label core).";
        LOG_LINES = "distric_log_lines_total" in One, "Log lines written (label level).";
        LOG_LINES_DROPPED = "distric_log_lines_dropped_total" in One, "Log lines dropped, as their buffer was full.";
        TRACE_SPANS_EXPORTED = "distric_trace_spans_exported_total" in One, "Spans that the collector has taken.";
        TRACE_SPANS_DROPPED = "distric_trace_spans_dropped_total" in One, "Spans that are lost (label reason: full, unreachable, rejected, stopped).";
        METRIC_SERIES_REFUSED = "distric_metric_series_refused_total" in One, "Cells that were asked for and not kept, as the core's registry was full.";
        PROCESS_CPU = "process_cpu_seconds_total" in Nanoseconds, "User and system CPU time of the process.";
    }
    gauges {
        WORKFLOWS_RUNNING = "distric_workflows_running" by Sum, "Instances that have not ended.";
        TASKS_RUNNING = "distric_tasks_running" by Sum, "Tasks whose order is out.";
        TASKS_WAITING = "distric_tasks_waiting" by Sum, "Tasks of plugins that wait for a worker, on the node that leads.";
        TASKS_WAITING_OLDEST = "distric_tasks_waiting_oldest_seconds" by Max, "How long the first of the tasks that wait for a worker has waited, on the node that leads.";
        WORKERS = "distric_workers" by Max, "Workers that the cluster knows, by where they are (label state: ready, drained, lost, left).";
        WORKER_UTILIZATION = "distric_worker_utilization" by Max, "Share of what the workers can run at once that they run, 0 to 1, on the node that leads.";
        STATE_BYTES = "distric_state_bytes" by Sum, "Memory held by messages and instances, as the retention budget counts it.";
        RAFT_LEADING = "distric_raft_leading" by Max, "1 on the node that leads, else 0.";
        RAFT_ELECTION_TIMEOUT_MAX = "distric_raft_election_timeout_max_seconds" by Max, "The longest that this node waits for a silent leader now: longer while the node itself runs late.";
        PEER_LINKS = "distric_peer_links" by Sum, "Connections to other coordinators that this node has made.";
        RAFT_TERM = "distric_raft_term" by Max, "Raft's term.";
        RAFT_COMMIT_INDEX = "distric_raft_commit_index" by Max, "The last entry committed.";
        RAFT_APPLIED_INDEX = "distric_raft_applied_index" by Max, "The last entry applied by every core.";
        JOURNAL_BYTES = "distric_journal_bytes" by Sum, "Size of the journal on disk.";
        TCP_CONNECTIONS_ACTIVE = "tcp_connections_active" by Sum, "Connections open (label protocol).";
        PLUGIN_TASKS_RUNNING = "distric_plugin_tasks_running" by Sum, "Tasks that processes of a plugin have (label plugin).";
        PLUGIN_TASKS_WAITING = "distric_plugin_tasks_waiting" by Sum, "Tasks that wait for a thread of their plugin (label plugin).";
        PLUGIN_PROCESSES = "distric_plugin_processes" by Sum, "Processes of a plugin that take tasks (label plugin).";
        PLUGIN_MEMORY = "distric_plugin_memory_bytes" by Sum, "Resident memory of a plugin's processes, as they said last (label plugin).";
        TCP_POOL_SIZE = "tcp_pool_size" by Sum, "Outgoing connections, in use or kept (label protocol).";
        CORE_BUSY_RATIO = "distric_core_busy_ratio" by Max, "Share of the last second that a core was at work, 0 to 1 (label core).";
        QUEUE_DEPTH = "distric_queue_depth" by Sum, "Elements waiting in a queue (labels core, queue).";
        CATALOGUE_VERSION = "distric_catalogue_version" by Max, "Version of the rules and definitions in use.";
        PROCESS_RESIDENT_MEMORY = "process_resident_memory_bytes" by Max, "Resident memory of the process.";
        PROCESS_OPEN_FDS = "process_open_fds" by Max, "Open file descriptors of the process.";
        PROCESS_MAX_FDS = "process_max_fds" by Max, "Most file descriptors the process may open.";
        PROCESS_START_TIME = "process_start_time_seconds" by Max, "When the process started, in Unix time.";
    }
    histograms {
        RULE_EVALUATION = "distric_rule_evaluation_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time to match one message and gather its record.";
        CATALOGUE_SWAP = "distric_catalogue_swap_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time that a core took to go over to another catalogue, with all that it applied and matched again at once.";
        WORKFLOW_DURATION = "distric_workflow_duration_seconds" in Nanoseconds over LONG_DURATION_BOUNDS, "Time from an instance's start to its end (label status).";
        TASK_DURATION = "distric_task_duration_seconds" in Nanoseconds over LONG_DURATION_BOUNDS, "Time of one attempt at a task that is carried out outside, such as a call (label status: completed, failed).";
        TASK_ASSIGNMENT = "distric_task_assignment_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time from when a plugin's task could run until a worker had received it.";
        RAFT_COMMIT_DURATION = "distric_raft_commit_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time from proposing an entry to its commit.";
        JOURNAL_SYNC_DURATION = "distric_journal_sync_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time of one fdatasync of the journal.";
        JOURNAL_BATCH_RECORDS = "distric_journal_batch_records" in One over COUNT_BOUNDS, "Records of one entry of the log.";
        HTTP_REQUEST_DURATION = "distric_http_request_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time from a request's head to its answer.";
        RPC_CALL_DURATION = "rpc_call_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time from a call to its answer, as its handler or its caller sees it (labels msg_type, side).";
        TCP_POOL_ACQUIRE_DURATION = "tcp_pool_acquire_duration_seconds" in Nanoseconds over DURATION_BOUNDS, "Time until a call had a connection, kept or new (label protocol).";
    }
    summaries {
        TRACE_EXPORT_DURATION = "distric_trace_export_duration_seconds" in Nanoseconds, "Time of one request to the collector of traces.";
    }
}

#[cfg(test)]
mod tests;
