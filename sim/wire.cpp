#include "sim/wire.hpp"

namespace mitu::sim {

std::optional<std::string> PacketStream::feed(ByteView bytes, mqtt::ProtocolVersion& version,
                                              const Visit& visit) {
    if (is_broken_) return std::nullopt;
    input_.insert(input_.end(), bytes.begin(), bytes.end());
    std::size_t taken = 0;
    std::optional<std::string> fault;
    while (taken < input_.size()) {
        const ByteView rest = ByteView{input_}.subspan(taken);
        mqtt::DecodeOptions options;
        options.sender = sender_;
        options.version = version;
        const auto decoded = mqtt::decode(rest, options);
        if (!decoded) {
            is_broken_ = true;
            fault = decoded.error().rule;
            break;
        }
        if (!*decoded) break;
        // From CONNECT on both directions speak its version.
        if (const auto* connect = std::get_if<mqtt::Connect>(&(*decoded)->packet)) {
            version = connect->version;
        }
        taken += (*decoded)->size_bytes;
        visit((*decoded)->packet, (*decoded)->size_bytes);
    }
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken));
    return fault;
}

}  // namespace mitu::sim
