// How much of the idle GPU capacity the workload's own requests cannot use,
// sampled along the way. After "Beware of Fragmentation" (Weng et al., USENIX
// ATC 2023): of a node where a request does not fit at all its whole idle
// capacity counts, else that of the devices that have too little for it; the
// mean over the requests, by how common they are. Requests for no GPU are left
// out: what they leave idle is not too small for them.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <string>
#include <vector>

#include "cluster/scheduling/fragmentation.hpp"
#include "cluster/scheduling/typical.hpp"
#include "cluster/simulation/workload.hpp"
#include "schema/event_generated.h"

namespace reeve::cluster::simulation {

// Requests beyond the most common ones are rare enough to leave out.
inline constexpr std::size_t typical_requests_max = 32;
inline constexpr std::size_t fragmentation_samples = 128;

class FragmentationMeter {
 public:
  // Samples are taken in equal steps of the workload's window.
  explicit FragmentationMeter(const Workload& work);

  // Events in order, first those that tell of what there is before the window.
  void apply(const schema::Event& event);
  // After the last event.
  void finish();

  // Of all samples together; negative when nothing was idle, or nobody asked
  // for a GPU.
  double share() const;
  // The same of what is so at present.
  double present() const;

 private:
  struct Holding {
    std::vector<TaskProposal> tasks;
    std::vector<bool> freed;
  };
  struct Session {
    scheduling::Need need;
    Holding holding;
  };

  scheduling::Need need_of(const Request& request);
  scheduling::ModelId model(const std::string& name);
  struct Sample {
    double idle = 0;
    double unusable = 0;
  };
  Sample sample() const;
  void take_samples(Time until);
  void registered(const schema::NodeRegistered& body);
  scheduling::Node* node(std::uint32_t number);
  void placed(const schema::SessionPlaced& body);
  void free_task(Session& session, std::size_t rank);
  void free_all(std::uint64_t session);

  Time from_;
  std::uint64_t step_ns_;
  std::size_t taken_ = 0;
  std::vector<scheduling::Typical> typical_;
  std::map<std::string, scheduling::ModelId> models_;
  std::vector<scheduling::Node> nodes_;
  boost::unordered_flat_map<std::uint64_t, Session> sessions_;
  Sample sum_;
};

}  // namespace reeve::cluster::simulation
