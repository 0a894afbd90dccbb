// What each command does. A handler returns the exit code, or why not.
#pragma once

#include "cluster/error.hpp"
#include "tools/args/arguments.hpp"
#include "tools/cli/context.hpp"

namespace reeve::tools {

using Result = Expected<int>;
using Handler = Result (*)(const Context&, const Arguments&);

Result command_up(const Context&, const Arguments&);
Result command_down(const Context&, const Arguments&);
Result command_status(const Context&, const Arguments&);
Result command_doctor(const Context&, const Arguments&);
Result command_config_check(const Context&, const Arguments&);
Result command_bench(const Context&, const Arguments&);
Result command_completion(const Context&, const Arguments&);
Result command_run(const Context&, const Arguments&);
Result command_submit(const Context&, const Arguments&);
Result command_ps(const Context&, const Arguments&);
Result command_show(const Context&, const Arguments&);
Result command_logs(const Context&, const Arguments&);
Result command_wait(const Context&, const Arguments&);
Result command_cancel(const Context&, const Arguments&);
Result command_history(const Context&, const Arguments&);
Result command_why(const Context&, const Arguments&);
Result command_graph(const Context&, const Arguments&);
Result command_queue(const Context&, const Arguments&);
Result command_reservation_list(const Context&, const Arguments&);
Result command_reservation_set(const Context&, const Arguments&);
Result command_reservation_remove(const Context&, const Arguments&);
Result command_nodes(const Context&, const Arguments&);
Result command_node_show(const Context&, const Arguments&);
Result command_node_drain(const Context&, const Arguments&);
Result command_node_resume(const Context&, const Arguments&);
Result command_node_remove(const Context&, const Arguments&);
Result command_gpus(const Context&, const Arguments&);
Result command_gpu_quarantine(const Context&, const Arguments&);
Result command_gpu_release(const Context&, const Arguments&);
Result command_gpu_test(const Context&, const Arguments&);
Result command_user_list(const Context&, const Arguments&);
Result command_user_set(const Context&, const Arguments&);
Result command_user_remove(const Context&, const Arguments&);
Result command_project_list(const Context&, const Arguments&);
Result command_project_set(const Context&, const Arguments&);
Result command_project_remove(const Context&, const Arguments&);
Result command_group_list(const Context&, const Arguments&);
Result command_group_set(const Context&, const Arguments&);
Result command_group_remove(const Context&, const Arguments&);
Result command_quota_list(const Context&, const Arguments&);
Result command_quota_set(const Context&, const Arguments&);
Result command_quota_remove(const Context&, const Arguments&);
Result command_token_create(const Context&, const Arguments&);
Result command_token_list(const Context&, const Arguments&);
Result command_token_revoke(const Context&, const Arguments&);
Result command_join(const Context&, const Arguments&);
Result command_leave(const Context&, const Arguments&);
Result command_members(const Context&, const Arguments&);
Result command_lead(const Context&, const Arguments&);
Result command_members_remove(const Context&, const Arguments&);
Result command_trace_run(const Context&, const Arguments&);
Result command_events(const Context&, const Arguments&);
Result command_state(const Context&, const Arguments&);

// Null for a command that the log tool carries out.
Handler find_handler(std::string_view path);

}  // namespace reeve::tools
