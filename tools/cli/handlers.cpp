#include "tools/cli/handlers.hpp"

#include "tools/args/commands.hpp"
#include "tools/args/completion.hpp"

namespace reeve::tools {

Handler find_handler(std::string_view path) {
  struct Entry {
    std::string_view path;
    Handler handler;
  };
  static constexpr Entry entries[] = {
      {"up", command_up},
      {"down", command_down},
      {"status", command_status},
      {"doctor", command_doctor},
      {"config check", command_config_check},
      {"bench", command_bench},
      {"completion", command_completion},
      {"run", command_run},
      {"submit", command_submit},
      {"ps", command_ps},
      {"show", command_show},
      {"logs", command_logs},
      {"wait", command_wait},
      {"cancel", command_cancel},
      {"history", command_history},
      {"why", command_why},
      {"nodes", command_nodes},
      {"node show", command_node_show},
      {"user list", command_user_list},
      {"user set", command_user_set},
      {"user remove", command_user_remove},
      {"project list", command_project_list},
      {"project set", command_project_set},
      {"project remove", command_project_remove},
      {"group list", command_group_list},
      {"group set", command_group_set},
      {"group remove", command_group_remove},
      {"quota list", command_quota_list},
      {"quota set", command_quota_set},
      {"quota remove", command_quota_remove},
      {"reservation list", command_reservation_list},
      {"reservation set", command_reservation_set},
      {"reservation remove", command_reservation_remove},
      {"graph", command_graph},
      {"queue", command_queue},
      {"node drain", command_node_drain},
      {"node resume", command_node_resume},
      {"node remove", command_node_remove},
      {"gpus", command_gpus},
      {"gpu quarantine", command_gpu_quarantine},
      {"gpu release", command_gpu_release},
      {"gpu test", command_gpu_test},
      {"token create", command_token_create},
      {"token list", command_token_list},
      {"token revoke", command_token_revoke},
      {"join", command_join},
      {"leave", command_leave},
      {"members", command_members},
      {"lead", command_lead},
      {"members remove", command_members_remove},
      {"trace run", command_trace_run},
      {"events", command_events},
      {"state", command_state},
  };
  for (const auto& entry : entries)
    if (entry.path == path) return entry.handler;
  return nullptr;
}

Result command_completion(const Context&, const Arguments& arguments) {
  const auto script =
      completion_script(arguments.words[0], all_commands(), common_options());
  if (!script) return tl::unexpected(script.error());
  print(*script);
  return 0;
}

}  // namespace reeve::tools
