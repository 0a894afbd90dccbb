// Every bound of the core, by name. Each has a test of what happens at it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cluster/types.hpp"

namespace reeve::cluster {

// A specification, as a client may send it.
inline constexpr std::uint32_t name_bytes_max = 128;
inline constexpr std::uint32_t argv_count_max = 4096;
inline constexpr std::uint32_t env_count_max = 4096;
inline constexpr std::uint32_t labels_count_max = 64;
inline constexpr std::uint32_t dependencies_count_max = 256;
inline constexpr std::uint32_t tasks_per_session_max = 4096;
inline constexpr std::uint32_t gpus_per_task_max = 64;
inline constexpr std::uint32_t requeue_count_max = 1000;
inline constexpr std::uint32_t prefer_count_max = 8;
inline constexpr std::uint64_t grace_ns_max = 3600 * second_ns;
inline constexpr std::uint8_t signal_max = 64;
inline constexpr std::uint64_t time_limit_ns_max =
    365ull * 24 * 3600 * second_ns;
// From the submission to the first moment at which it may start.
inline constexpr std::uint64_t not_before_ns_max =
    365ull * 24 * 3600 * second_ns;
// All its texts together: an event of it stays within the bound of an event.
inline constexpr std::uint64_t spec_bytes_max = 256 << 10;
// Sessions of one array, and their specifications all together: one decision
// is one commit.
inline constexpr std::uint32_t array_size_max = 10'000;
inline constexpr std::uint32_t array_index_max = 1'000'000'000;
inline constexpr std::uint64_t array_bytes_max = 4 << 20;
// Events of one commit where several managers keep the log: it travels in one
// message of the bus.
inline constexpr std::size_t shared_commit_bytes_max = 900 << 10;
// What an agent says about an end; the rest is cut off.
inline constexpr std::uint32_t detail_bytes_max = 4096;

// A node, as an agent may declare it.
inline constexpr std::uint32_t devices_per_node_max = 64;
inline constexpr std::uint32_t node_limits_max = 64;
inline constexpr std::uint32_t node_labels_max = 64;
inline constexpr std::uint64_t node_spec_bytes_max = 64 << 10;
inline constexpr std::uint64_t drain_ns_max = 365ull * 24 * 3600 * second_ns;
// Of devices and of cards that are away, remembered with each node.
inline constexpr std::size_t quarantines_per_node_max = 128;
inline constexpr std::uint64_t quarantine_reason_bytes_max = 1024;
// Of their devices' last tests, remembered with each node; and of one test. A
// failed test's text is the reason of a quarantine.
inline constexpr std::size_t tests_per_node_max = 128;
inline constexpr std::uint64_t test_text_bytes_max =
    quarantine_reason_bytes_max;
inline constexpr std::size_t test_figures_max = 32;
inline constexpr std::size_t test_figure_name_bytes_max = 64;
inline constexpr std::uint32_t nodes_per_command_max = 4096;
inline constexpr std::uint32_t nodes_max = 1'000'000;

// Users, projects and groups.
inline constexpr std::size_t accounts_max = 100'000;
inline constexpr std::uint32_t account_members_max = 1'000;
inline constexpr std::size_t project_depth_max = 8;
inline constexpr std::uint32_t account_weight_milli_max = 1'000'000;

// A reservation: how many there may be, and of what.
inline constexpr std::size_t reservations_max = 1'000;
inline constexpr std::uint32_t reservation_nodes_max = 1'000;
inline constexpr std::uint32_t reservation_owners_max = 1'000;
inline constexpr std::uint64_t reservation_reason_bytes_max = 1024;
inline constexpr std::uint64_t reservation_every_ns_min = 60 * second_ns;
// Its length, its period, and how far off it begins.
inline constexpr std::uint64_t reservation_ns_max =
    366ull * 24 * 3600 * second_ns;

// Tokens and who joined by them.
inline constexpr std::size_t tokens_max = 1'000;
inline constexpr std::uint32_t token_uses_max = 10'000;
inline constexpr std::uint64_t token_ns_min = 60 * second_ns;
inline constexpr std::uint64_t token_ns_max = 365ull * 24 * 3600 * second_ns;
inline constexpr std::size_t identities_max = 10'000;
// With what a principal has before it, the bus takes at most 64.
inline constexpr std::uint32_t identity_name_bytes_max = 56;
inline constexpr std::uint32_t identity_address_bytes_max = 256;
inline constexpr std::uint64_t identity_reason_bytes_max = 1024;

// What managers tell of their logs: each text of it, and the managers that it
// is kept of; of more, that which was told longest ago is dropped.
inline constexpr std::uint64_t healing_text_bytes_max = 1024;
inline constexpr std::size_t healings_max = 96;

// What the state keeps.
inline constexpr std::size_t ended_sessions_max = 100'000;
inline constexpr std::size_t recent_commands_max = 65'536;
inline constexpr std::uint64_t sessions_waiting_max = 1'000'000;

// How long a session may stay in each state before its deadline passes.
inline constexpr std::uint64_t pending_ns_max = 30ull * 24 * 3600 * second_ns;
inline constexpr std::uint64_t start_ns_max = 600 * second_ns;
inline constexpr std::uint64_t running_ns_max = 30ull * 24 * 3600 * second_ns;
inline constexpr std::uint64_t stopping_ns_max = 60 * second_ns;
// Between the polite signal and the one that cannot be refused.
inline constexpr std::uint64_t stop_grace_ns = 5 * second_ns;

// A requeued session waits this long, doubled with each attempt up to the cap.
inline constexpr std::uint64_t requeue_delay_ns = 1 * second_ns;
inline constexpr std::uint64_t requeue_delay_ns_max = 300 * second_ns;

// For how long nothing is heard of a node until it is lost.
inline constexpr std::uint64_t node_lost_after_ns_default = 10 * second_ns;
inline constexpr std::uint64_t node_lost_after_ns_min = 3 * second_ns;
inline constexpr std::uint64_t node_lost_after_ns_max = 3600 * second_ns;

// How long tasks run on while their host hears nothing of the cell, where the
// session does not say it and may be tried again: then they end there, and only
// after that are they started elsewhere.
inline constexpr std::uint64_t cut_off_ns_default = 60 * second_ns;
inline constexpr std::uint64_t cut_off_ns_min = 10 * second_ns;
inline constexpr std::uint64_t cut_off_ns_max = 30ull * 24 * 3600 * second_ns;
// What their end may take after that, from the polite signal on, and how much
// longer the cell waits than that.
inline constexpr std::uint64_t cut_off_grace_ns = 5 * second_ns;
inline constexpr std::uint64_t cut_off_spare_ns = 10 * second_ns;

}  // namespace reeve::cluster
