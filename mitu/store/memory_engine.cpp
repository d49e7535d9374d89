#include "mitu/store/memory_engine.hpp"

#include <utility>

namespace mitu::store {
namespace {

// What a node of the map takes beside key and value.
constexpr std::uint64_t row_overhead_bytes = 96;

}  // namespace

/// Looks for each next row anew, so that writers need not wait for it.
class MemoryEngine::MapRows final : public Rows {
public:
    MapRows(MemoryEngine& engine, Family family, ByteView from, ByteView to)
        : engine_{engine}, family_{family}, key_{to_bytes(from)}, to_{to_bytes(to)} {}

    bool next() override {
        const MutexLock lock{engine_.mutex_};
        const Map& map = engine_.maps_[index_of(family_)];
        const auto found = has_begun_ ? map.upper_bound(key_) : map.lower_bound(key_);
        has_begun_ = true;
        if (found == map.end() || (!to_.empty() && found->first >= to_)) return false;
        key_ = found->first;
        value_ = found->second;
        return true;
    }
    ByteView key() const override { return key_; }
    ByteView value() const override { return value_; }
    std::optional<Error> error() const override { return std::nullopt; }

private:
    MemoryEngine& engine_;
    Family family_;
    Bytes key_;
    Bytes value_;
    Bytes to_;
    bool has_begun_ = false;
};

MemoryEngine::Map::iterator MemoryEngine::erase(Map& map, Map::iterator row) {
    bytes_ -= row->first.size() + row->second.size() + row_overhead_bytes;
    return map.erase(row);
}

void MemoryEngine::put(Map& map, Bytes key, ByteView value) {
    const auto [row, is_new] = map.try_emplace(std::move(key));
    bytes_ += is_new ? row->first.size() + row_overhead_bytes : 0;
    bytes_ -= row->second.size();
    row->second.assign(value.begin(), value.end());
    bytes_ += value.size();
}

void MemoryEngine::apply(const Operation& operation) {
    Map& map = maps_[index_of(operation.family)];
    Bytes key = to_bytes(operation.key);
    switch (operation.op) {
        case Op::put:
            put(map, std::move(key), operation.value);
            return;
        case Op::erase:
            if (const auto row = map.find(key); row != map.end()) erase(map, row);
            return;
        case Op::erase_range: {
            const auto end =
                operation.value.empty() ? map.end() : map.lower_bound(to_bytes(operation.value));
            for (auto row = map.lower_bound(key); row != end;) row = erase(map, row);
            return;
        }
        case Op::add: {
            const auto row = map.find(key);
            const std::int64_t before =
                row == map.end() ? 0 : decode_count(row->second).value_or(0);
            const std::int64_t delta = decode_count(operation.value).value_or(0);
            put(map, std::move(key), encode_count(before + delta));
            return;
        }
    }
}

std::uint64_t MemoryEngine::growth_of(ByteView operations) {
    std::uint64_t bytes = 0;
    OperationReader reader{operations};
    while (const auto operation = reader.next()) {
        if (operation->op == Op::put) {
            bytes += operation->key.size() + operation->value.size() + row_overhead_bytes;
        }
    }
    return bytes;
}

Result<void, Error> MemoryEngine::write(ByteView operations, bool sync) {
    const MutexLock lock{mutex_};
    const std::uint64_t growth = growth_of(operations);
    if (growth > 0 && (bytes_ >= options_.bytes_max || growth > options_.bytes_max - bytes_)) {
        return std::unexpected(Error{ErrorKind::disk_full, "memory: its bound is reached"});
    }
    OperationReader reader{operations};
    while (const auto operation = reader.next()) apply(*operation);
    if (sync) ++syncs_;
    return {};
}

Result<void, Error> MemoryEngine::sync() {
    const MutexLock lock{mutex_};
    ++syncs_;
    return {};
}

Result<std::optional<Bytes>, Error> MemoryEngine::get(Family family, ByteView key) {
    const MutexLock lock{mutex_};
    const Map& map = maps_[index_of(family)];
    const auto row = map.find(to_bytes(key));
    if (row == map.end()) return std::optional<Bytes>{};
    return std::optional<Bytes>{row->second};
}

std::unique_ptr<Rows> MemoryEngine::scan(Family family, ByteView from, ByteView to) {
    return std::make_unique<MapRows>(*this, family, from, to);
}

Result<std::optional<Bytes>, Error> MemoryEngine::last(Family family, ByteView from, ByteView to) {
    const MutexLock lock{mutex_};
    const Map& map = maps_[index_of(family)];
    auto row = to.empty() ? map.end() : map.lower_bound(to_bytes(to));
    if (row == map.begin()) return std::optional<Bytes>{};
    --row;
    if (row->first < to_bytes(from)) return std::optional<Bytes>{};
    return std::optional<Bytes>{row->first};
}

std::optional<std::uint64_t> MemoryEngine::free_bytes() {
    const MutexLock lock{mutex_};
    if (options_.bytes_max == ~std::uint64_t{0}) return std::nullopt;
    return options_.bytes_max > bytes_ ? options_.bytes_max - bytes_ : 0;
}

EngineStats MemoryEngine::stats() {
    const MutexLock lock{mutex_};
    EngineStats stats;
    for (std::size_t i = 0; i < family_count; ++i) {
        stats.families[i].rows_estimate = maps_[i].size();
        for (const auto& [key, value] : maps_[i]) {
            stats.families[i].memory_bytes += key.size() + value.size() + row_overhead_bytes;
        }
    }
    stats.memory_bytes = bytes_;
    stats.syncs = syncs_;
    return stats;
}

Result<void, Error> MemoryEngine::backup(const std::string& /*directory*/) {
    return std::unexpected(
        Error{ErrorKind::unsupported, "the store is in memory: there is nothing to back up"});
}

void MemoryEngine::set_bytes_max(std::uint64_t bytes_max) {
    const MutexLock lock{mutex_};
    options_.bytes_max = bytes_max;
}

}  // namespace mitu::store
