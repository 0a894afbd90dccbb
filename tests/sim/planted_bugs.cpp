// Which bugs there are between the cores, and what has to be said of them.
#include "tests/sim/saboteur.hpp"

namespace reeve::sim {
namespace {

constexpr PlantedBug planted_bugs[] = {
    {"constraint_ignored", Bug::constraint_ignored, false, "does not satisfy",
     &Plan::wishes},
    {"constraint_unchecked", Bug::constraint_ignored, true, "and asks for",
     &Plan::wishes},
    {"within_ignored", Bug::within_ignored, false, "is not within one",
     &Plan::wishes},
    {"within_unchecked", Bug::within_ignored, true, "places and asks for one",
     &Plan::wishes},
    {"reservation_ignored", Bug::reservation_ignored, false, "keeps node",
     &Plan::reservations},
    {"reservation_unchecked", Bug::reservation_ignored, true, "keeps",
     &Plan::reservations},
    {"reservation_left", Bug::reservation_left, false, "in its reservation",
     &Plan::reservations},
    {"reservation_left_unchecked", Bug::reservation_left, true, "beside",
     &Plan::reservations},
    {"quota_ignored", Bug::quota_ignored, false, "may have", &Plan::quotas},
    {"quota_unchecked", Bug::quota_ignored, true, "over the quota",
     &Plan::quotas},
    {"gpu_time_ignored", Bug::gpu_time_ignored, false, "may use",
     &Plan::quotas},
    {"gpu_time_unchecked", Bug::gpu_time_ignored, true, "of a GPU hour",
     &Plan::quotas},
    {"full_ignored", Bug::full_ignored, false, "has no"},
    {"gone_ignored", Bug::gone_ignored, false, "is not offered"},
    {"gone_unchecked", Bug::gone_ignored, true, "is not of its queue"},
    {"wait_ignored", Bug::wait_ignored, false, "may not start yet"},
    {"wait_unchecked", Bug::wait_ignored, true, "before it may be"},
    {"after_ignored", Bug::after_ignored, false, "has not ended so"},
    {"after_unchecked", Bug::after_ignored, true, "waits for the end of"},
    {"node_ignored", Bug::node_ignored, false, "is not of its queue",
     &Plan::wishes},
    {"device_ignored", Bug::device_ignored, false, "devices and asks for"},
    {"gang_cut", Bug::gang_cut, false, "are wanted"},
    {"gang_cut_unchecked", Bug::gang_cut, true, "are placed"},
    {"gang_gathered", Bug::gang_gathered, false, "on one, and ask for",
     &Plan::wishes},
    {"apart_ignored", Bug::apart_ignored, false, "apart from", &Plan::wishes},
    {"together_ignored", Bug::together_ignored, false, "together with",
     &Plan::wishes},
    {"array_overrun", Bug::array_overrun, false, "hold a place, where",
     &Plan::arrays},
    {"window_ignored", Bug::window_ignored, false, "may run into",
     &Plan::reservations},
    {"turn_ignored", Bug::turn_ignored, false, "is before it and fits",
     &Plan::crowded},
    {"none_passed", Bug::none_passed, false, "where nobody may pass",
     &Plan::promises},
    {"head_delayed", Bug::head_delayed, false, "for others passed it",
     &Plan::promises},
    {"patience_ignored", Bug::patience_ignored, false, "patience was over",
     &Plan::patience},
    {"first_forgotten", Bug::first_forgotten, false, "it does not start"},
    {"room_early", Bug::room_early, false, "where each may run for",
     &Plan::promises},
    {"room_in_vain", Bug::room_in_vain, false, "would still not fit",
     &Plan::promises},
    {"room_needless", Bug::room_needless, false, "which fits without that",
     &Plan::promises},
    {"room_upward", Bug::room_upward, true, "is less urgent", &Plan::promises},
    {"room_unasked", Bug::room_unasked, false, "where nobody has to",
     &Plan::promises},
    {"retry_lost", Bug::retry_lost, true, "times again", &Plan::promises},
    {"room_waits", Bug::room_waits, true, "would not wait again at once",
     &Plan::promises},
    {"room_ends", Bug::room_ends, true, "but would wait again",
     &Plan::promises},
    {"any_refused", Bug::any_refused, false, ""},
};

}  // namespace

const PlantedBug* planted_bug(const std::string& name) {
  for (const PlantedBug& planted : planted_bugs)
    if (name == planted.name) return &planted;
  return nullptr;
}

}  // namespace reeve::sim
