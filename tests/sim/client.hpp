// A client of the cell: it asks for changes and sends each again until it is
// answered, as bus::Client does; now and then it gives up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/spec.hpp"
#include "tests/sim/world.hpp"

namespace reeve::sim {

class Client {
 public:
  // `number` counts the clients from 0.
  Client(World& world, std::uint32_t number);

  // From now on, as long as there are faults.
  void begin();
  // Declares the simulated nodes, or says again that they are there.
  void declare_simulated_nodes();
  // All nodes may be used again, and as much as there is.
  void resume_nodes();
  void release_devices();
  void remove_quotas();
  // Nothing is kept for anybody, and nobody has to make room.
  void remove_reservations();
  void reset_policy();
  // Sessions that have to succeed, as nothing is wrong any more.
  void submit_proofs();
  // Every one of them did, at the first attempt.
  void check_proofs() const;

  std::string unrest() const;

 private:
  using Builder = flatbuffers::FlatBufferBuilder;
  struct Pending {
    std::vector<std::byte> bytes;
    std::uint64_t wait_ns = 0;
    bool proof = false;
  };

  void receive(const Packet& packet);
  void act();
  void submit();
  // `sessions`: of an array; 0: of none.
  void submit(const cluster::Spec& spec, bool proof,
              std::uint32_t sessions = 0);
  void submit_array();
  void submit_proof();
  void cancel();
  void cancel(std::uint64_t session, bool array);
  void change_node();
  void change_device();
  void change_reservation();
  void remove_reservation(const std::string& name);
  void change_policy();
  void set_policy(const char* policy);
  void make_project();
  void change_quota();
  void remove_quota(schema::AccountKind kind, const std::string& name);
  void ask();
  cluster::Spec draw_spec();
  void draw_devices(cluster::Spec& spec);
  void draw_owners(cluster::Spec& spec);
  void draw_wishes(cluster::Spec& spec);
  flatbuffers::Offset<schema::NodeSpec> declare_node(
      Builder& builder, std::uint32_t number) const;
  std::string draw_node();
  void name_node(const char* command, const std::string& node);

  schema::Id128 next_id() { return {1'000 + number_, ++ids_}; }
  template <class Body>
  void command(Builder& builder, const schema::Id128& id,
               flatbuffers::Offset<Body> body, bool proof = false);
  void send(std::uint64_t number);
  void give_up();

  World& world_;
  const std::uint32_t number_;
  End end_;
  std::uint64_t ids_ = 0;
  std::uint64_t names_ = 0;
  std::map<std::uint64_t, Pending> pending_;  // by the low half of the id
  std::vector<std::uint64_t> sessions_;       // acknowledged to this client
  std::size_t proofs_wanted_ = 0;
  std::vector<std::uint64_t> proofs_;
  // What a drawn specification points to.
  std::string name_;
  std::string node_;
  std::string reservation_;
  std::vector<std::string> words_;
};

}  // namespace reeve::sim
