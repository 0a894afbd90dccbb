// A node's specification, between its message and the state.
#pragma once

#include <cstddef>
#include <string_view>

#include "cluster/state.hpp"

namespace reeve::cluster {

// Of a node that names no group: the default one.
std::string_view group_of(const schema::NodeSpec& spec);

// As an agent would declare it now.
flatbuffers::Offset<schema::NodeSpec> build_node(
    flatbuffers::FlatBufferBuilder& builder, const Node& node);
flatbuffers::Offset<schema::NodeSpec> copy_node(
    flatbuffers::FlatBufferBuilder& builder, const schema::NodeSpec& spec);

flatbuffers::Offset<schema::DeviceQuarantine> build_quarantine(
    flatbuffers::FlatBufferBuilder& builder, std::string_view uuid,
    const Quarantine& quarantine);
// 0: there are none.
flatbuffers::Offset<
    flatbuffers::Vector<flatbuffers::Offset<schema::DeviceQuarantine>>>
build_quarantines(flatbuffers::FlatBufferBuilder& builder,
                  const Quarantines& quarantines);

// But for its links, which change when another device goes.
bool same_device(const Device& known, const schema::NodeSpec& spec,
                 std::size_t index);
bool same_inventory(const Node& node, std::string_view agent,
                    const schema::NodeSpec& spec);

// Texts may be shared inside a message, so a small one can hold a lot.
std::size_t text_bytes(const schema::NodeSpec& spec);

// What a constraint may ask of it. Views into the node.
NodeFacts facts_of(const Node& node);

}  // namespace reeve::cluster
