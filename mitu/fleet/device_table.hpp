#pragma once
// The catalog's devices, packed: a million of them in one process. Inside mitu/fleet only.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/fleet/catalog.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::fleet {

/// Records, id text, credentials, and a hash table over ids.
/// Shape  20 bytes a record + the id + 48 of a credential + 4 / load factor (0.35..0.7) of the
/// table.
///        Label sets and costs are kept once each.
struct Catalog::DeviceTable {
    struct Record {
        std::uint32_t id_offset = 0;
        std::uint32_t credential = 0;  // 1 + index; 0: none
        std::uint32_t label_set = 0;
        std::uint32_t group = 0;
        std::uint16_t tenant = 0;
        std::uint8_t id_bytes = 0;
        std::uint8_t cost = 0;  // index into costs
    };
    struct PackedCredential {
        identity::Salt salt;
        std::array<std::uint8_t, 32> hash;
    };
    struct LabelSet {
        std::uint32_t first = 0;
        std::uint32_t count = 0;
    };

    std::vector<Record> records;
    std::string ids;
    std::vector<PackedCredential> credentials;
    std::vector<identity::CredentialCost> costs;
    std::vector<Label> labels;
    std::vector<LabelSet> label_sets;
    /// Open addressing by the hash of the id alone, so that "id" and "id@tenant" are one look-up:
    /// the same id in several tenants is a short run of neighbours. 1 + index; 0: free.
    std::vector<std::uint32_t> slots;

    [[nodiscard]] std::string_view id_of(std::uint32_t index) const noexcept {
        return std::string_view{ids}.substr(records[index].id_offset, records[index].id_bytes);
    }
    /// Calls `visit(index)` for every device of that id, until it says false.
    template <class Visit>
    void find_all(std::string_view id, Visit visit) const;
    void insert(std::uint32_t index);
    [[nodiscard]] std::size_t size_bytes() const noexcept;

private:
    [[nodiscard]] std::size_t slot_of(std::string_view id) const noexcept;
    void place(std::uint32_t index) noexcept;
};

template <class Visit>
void Catalog::DeviceTable::find_all(std::string_view id, Visit visit) const {
    if (slots.empty()) return;
    for (std::size_t slot = slot_of(id); slots[slot] != 0; slot = (slot + 1) & (slots.size() - 1)) {
        const std::uint32_t index = slots[slot] - 1;
        if (id_of(index) == id && !visit(index)) return;
    }
}

}  // namespace mitu::fleet
