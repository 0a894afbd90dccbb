// Inventory and samples as JSON, for `--json` and for keeping. What is not
// known is left out.
#pragma once

#include <boost/json/value.hpp>

#include "gpu/inventory.hpp"
#include "gpu/telemetry.hpp"

namespace reeve::gpu {

boost::json::value to_json(const Inventory& inventory);
boost::json::value to_json(const Sample& sample);

}  // namespace reeve::gpu
