// A small cell and what happens in it, as lines of text, for tests: worked
// examples are written so, random ones are made so and made smaller line by
// line when they fail.
//
//   policy easy                       at any time; first of all, too
//   node n0 cpus=4 memory=64 gpus=2 model=A device_memory=80 rack=r1
//   account user ann weight=3         or project a parent=b
//   quota project ml gpus=4 cpus=8 memory=64 sessions=2
//   submit s1 cpus=2 memory=8 gpus=1 share=500 model=A tasks=2 nodes=2
//       priority=1 time=10m user=ann project=ml on=n0 constraint=rack=r1
//       within=rack prefer=disk=nvme together=db apart=db array=s1 max=2
//   wait 10m                          (units s, m, h)
//   pass s1@n0 s2@n1:0+1,n1:2         starts, in order, by task, with devices
//   pass nothing
//   pass                              what is right by the obvious scheduler
//   preempt s3 s4                     who is to make room; or alone
//   starts s2 in 60m                  what is promised to one that waits
//   end s1; cancel s1; exit s1 0; requeue s1; lost n0; returned n0
//   quarantine n0 1; release n0 1     a device of the node
//   slow n0 1; fast n0 1              what a test of it says
//   sharing user                      or project, anyone, none
//
// What is left out has a default: one CPU, no memory, a task. A session is
// known by its name. Empty lines and those that begin with "#" say nothing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/scheduling/obvious_scheduler.hpp"

namespace reeve::cluster {

using Case = std::vector<std::string>;

std::string to_text(const Case& lines);

struct CaseOptions {
  // Lines about sessions that are not there, or not in that state, say
  // nothing; else they are wrong.
  bool lenient = false;
  // What the obvious scheduler is told of the policy.
  std::function<void(Policy&)> plant;
};

struct CaseResult {
  std::string wrong;  // the line and what is wrong with it; empty: nothing
  std::string told;   // all that the scheduler said
};

// Feeds a scheduler, compares it with the obvious one and with what the lines
// expect.
CaseResult run_case(const Case& lines, const CaseOptions& options = {});

// The smallest case that can be got by leaving out lines, and words of lines,
// and still fails.
Case shrink(Case lines, const std::function<bool(const Case&)>& fails);

}  // namespace reeve::cluster
