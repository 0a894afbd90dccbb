// Opening for writing: make or find, take ownership, prove, then open. For
// log.cpp.
#pragma once

#include "store/database.hpp"
#include "store/head_mark.hpp"
#include "store/layout.hpp"
#include "store/log.hpp"

namespace reeve::store {

struct OpenedLog {
  Layout layout;
  std::shared_ptr<Database> database;
  HeadMark mark;  // exact
  Head head;
};

Expected<OpenedLog> open_log(const LogOptions& options);

}  // namespace reeve::store
