// Sessions, tasks and nodes as people and scripts read them. Pure.
#pragma once

#include <string>

#include "schema/query_generated.h"
#include "tools/args/output.hpp"

namespace reeve::tools {

// The keys of schema::SessionView, with `session_id` in front. `exit_code` is
// null where there is none (see exit_code.hpp).
std::string session_json(const schema::SessionView& view);

// "4 CPUs, 8 GiB, 2 GPUs (A100)"
std::string request_text(const schema::ResourceRequest* request);

// "python3 train.py", quoted where a shell would need it.
std::string command_text(const schema::SessionView& view);

// The nodes of its tasks: "host-a", "host-a host-b", "host-a and 6 more".
std::string places_text(const schema::SessionView& view);

// "task 2 of 8", of a session of several that failed.
std::string first_failed_text(const schema::SessionView& view);

// "node/0, node/1 (0.25)"
std::string devices_text(const schema::TaskView& task);

}  // namespace reeve::tools
