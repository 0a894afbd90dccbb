// What models of GPUs reach, as a table in text:
//
//   # what follows the sign is left out
//   model NVIDIA H100 80GB HBM3
//   memory_read 3.352e12 0.85
//
// A line names a figure, the limit of the model by its vendor, and the share
// of it below which a device counts as slow.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace reeve::gpu::probe {

struct Limit {
  std::string figure;
  double limit = 0;
  double floor_share = 0;
};

struct Model {
  std::string name;
  std::vector<Limit> limits;
};

class Models {
 public:
  // The models that this program knows.
  static const Models& known();
  // A site's own table. What is wrong with it is told with its line.
  static tl::expected<Models, std::string> parse(std::string_view text);
  // Of a file, which the sentence names as well.
  static tl::expected<Models, std::string> load(const std::string& path);

  // The model whose name is the longest beginning of `device`; null if none.
  const Model* find(std::string_view device) const;

 private:
  std::vector<Model> models_;
};

constexpr std::size_t models_max = 1000;
constexpr std::size_t models_bytes_max = 1 << 20;

}  // namespace reeve::gpu::probe
