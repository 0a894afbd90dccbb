#include "tools/cli/log_tool.hpp"

#include "tools/cli/context.hpp"

namespace reeve::tools {
namespace {

char** process_arguments = nullptr;

}  // namespace

void set_process_arguments(char** argv) {
  process_arguments = argv;
}

Error run_log_tool(const Context& context) {
  return exec_beside(context, log_program, process_arguments);
}

}  // namespace reeve::tools
