#include "mitu/store/virtual_disk.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "mitu/base/hash.hpp"

namespace mitu::store {
namespace {

constexpr std::size_t sector_bytes = 512;

/// One slash between two names, and none at the end.
std::string clean(std::string_view path) {
    std::string name;
    for (const char each : path) {
        if (each != '/' || name.empty() || name.back() != '/') name += each;
    }
    if (name.size() > 1 && name.back() == '/') name.pop_back();
    return name;
}

bool is_below(std::string_view path, std::string_view directory) noexcept {
    return path.size() > directory.size() + 1 && path.starts_with(directory) &&
           path[directory.size()] == '/' &&
           path.find('/', directory.size() + 1) == std::string_view::npos;
}

}  // namespace

void VirtualDisk::Names::apply(const Change& change) {
    if (change.is_directory) {
        directories[change.path] = true;
    } else if (change.file) {
        files[change.path] = change.file;
    } else {
        files.erase(change.path);
        directories.erase(change.path);
    }
}

void VirtualDisk::change(Change change) {
    names_.apply(change);
    unsynced_.push_back(std::move(change));
}

VirtualDisk::FilePtr VirtualDisk::find(const std::string& path) const {
    const auto found = names_.files.find(clean(path));
    return found == names_.files.end() ? nullptr : found->second;
}

bool VirtualDisk::is_directory(const std::string& path) const {
    return names_.directories.contains(clean(path));
}

VirtualDisk::FilePtr VirtualDisk::create(const std::string& path) {
    FilePtr file = std::make_shared<File>();
    change({clean(path), file, false});
    return file;
}

Result<void, DiskError> VirtualDisk::append(File& file, ByteView bytes) {
    ++counters_.appends;
    if (random_.chance(faults_.append_fails)) {
        ++counters_.failures;
        // A part may have been written all the same.
        const ByteView part =
            bytes.first(static_cast<std::size_t>(random_.below(bytes.size() + 1)));
        file.bytes.insert(file.bytes.end(), part.begin(), part.end());
        return std::unexpected(DiskError::io);
    }
    const std::uint64_t room = capacity_ == ~std::uint64_t{0} ? capacity_ : free_bytes();
    if (bytes.size() > room) {
        ++counters_.failures;
        const ByteView part = bytes.first(static_cast<std::size_t>(room));
        file.bytes.insert(file.bytes.end(), part.begin(), part.end());
        return std::unexpected(DiskError::no_space);
    }
    file.bytes.insert(file.bytes.end(), bytes.begin(), bytes.end());
    count_operation();
    return {};
}

Result<void, DiskError> VirtualDisk::sync(File& file) {
    ++counters_.syncs;
    if (random_.chance(faults_.sync_fails)) {
        ++counters_.failures;
        return std::unexpected(DiskError::io);
    }
    file.synced = file.bytes;
    count_operation();
    return {};
}

void VirtualDisk::count_operation() {
    if (freeze_in_ == 0 || --freeze_in_ != 0) return;
    frozen_ = std::make_shared<VirtualDisk>(copy());
}

std::optional<VirtualDisk> VirtualDisk::take_frozen() {
    freeze_in_ = 0;
    if (!frozen_) return std::nullopt;
    VirtualDisk taken = std::move(*frozen_);
    frozen_.reset();
    return taken;
}

Result<void, DiskError> VirtualDisk::truncate(File& file, std::uint64_t size) {
    file.bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size, file.bytes.size())));
    return {};
}

bool VirtualDisk::read_fails() {
    if (faults_.read_fails == 0 || !random_.chance(faults_.read_fails)) return false;
    ++counters_.failures;
    return true;
}

void VirtualDisk::make_directory(const std::string& path) {
    if (!is_directory(path)) change({clean(path), nullptr, true});
}

Result<void, DiskError> VirtualDisk::rename(const std::string& from, const std::string& to) {
    FilePtr file = find(from);
    if (!file) {
        if (!is_directory(from)) return std::unexpected(DiskError::not_found);
        // A directory goes with what is in it.
        const std::vector<std::string> inside = children(from);
        make_directory(to);
        for (const std::string& name : inside) {
            if (auto moved = rename(from + "/" + name, to + "/" + name); !moved) return moved;
        }
        change({clean(from), nullptr, false});
        return {};
    }
    // As one: no crash leaves both names, or none.
    change({clean(to), std::move(file), false});
    change({clean(from), nullptr, false});
    return {};
}

Result<void, DiskError> VirtualDisk::link(const std::string& from, const std::string& to) {
    FilePtr file = find(from);
    if (!file) return std::unexpected(DiskError::not_found);
    change({clean(to), std::move(file), false});
    return {};
}

Result<void, DiskError> VirtualDisk::remove(const std::string& path) {
    if (!find(path) && !is_directory(path)) return std::unexpected(DiskError::not_found);
    change({clean(path), nullptr, false});
    return {};
}

std::vector<std::string> VirtualDisk::children(const std::string& path_of) const {
    const std::string directory = clean(path_of);
    std::vector<std::string> names;
    for (const auto& [path, file] : names_.files) {
        if (is_below(path, directory)) names.push_back(path.substr(directory.size() + 1));
    }
    for (const auto& [path, is_there] : names_.directories) {
        if (is_below(path, directory)) names.push_back(path.substr(directory.size() + 1));
    }
    return names;
}

Result<void, DiskError> VirtualDisk::sync_names() {
    ++counters_.syncs;
    if (random_.chance(faults_.sync_fails)) {
        ++counters_.failures;
        return std::unexpected(DiskError::io);
    }
    for (const Change& each : unsynced_) synced_names_.apply(each);
    unsynced_.clear();
    return {};
}

/// Of what was not synced: cut off somewhere, and before that any sector may be missing. Each file
/// has its own draws: RocksDB's sizes vary a little where it draws ids, and no other file is to.
void VirtualDisk::tear(File& file, Prng random) {
    Bytes after = file.synced;
    const Bytes& before = file.bytes;
    if (before.size() > after.size() || before != after) {
        const std::size_t common = std::min(before.size(), after.size());
        const std::size_t end =
            random.chance(0.3)
                ? common
                : common + static_cast<std::size_t>(random.below(before.size() - common + 1));
        const bool reorders = random.chance(0.3);
        if (end > after.size()) {
            const std::size_t synced_size = after.size();
            after.resize(end);
            for (std::size_t at = synced_size; at < end;) {
                const std::size_t stop = std::min(end, (at / sector_bytes + 1) * sector_bytes);
                const bool is_there = !reorders || random.chance(0.7);
                if (is_there) std::copy(&before[at], &before[0] + stop, &after[at]);
                at = stop;
            }
        }
    }
    file.bytes = after;
    file.synced = std::move(after);
}

void VirtualDisk::crash() {
    const auto kept = static_cast<std::size_t>(random_.below(unsynced_.size() + 1));
    for (std::size_t i = 0; i < kept; ++i) synced_names_.apply(unsynced_[i]);
    unsynced_.clear();
    names_ = synced_names_;
    std::set<File*> torn;
    for (const auto& [path, file] : names_.files) {
        if (torn.insert(file.get()).second) tear(*file, random_.split());
    }
}

VirtualDisk VirtualDisk::copy() const {
    VirtualDisk copy = *this;
    std::map<const File*, FilePtr> copies;
    const auto copy_of = [&copies](FilePtr& file) {
        if (!file) return;
        FilePtr& other = copies[file.get()];
        if (!other) other = std::make_shared<File>(*file);
        file = other;
    };
    for (auto& [path, file] : copy.names_.files) copy_of(file);
    for (auto& [path, file] : copy.synced_names_.files) copy_of(file);
    for (Change& each : copy.unsynced_) copy_of(each.file);
    return copy;
}

std::uint64_t VirtualDisk::used_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [path, file] : names_.files) bytes += file->bytes.size();
    return bytes;
}

std::uint64_t VirtualDisk::free_bytes() const {
    const std::uint64_t used = used_bytes();
    return capacity_ > used ? capacity_ - used : 0;
}

std::uint64_t VirtualDisk::digest() const {
    std::uint64_t digest = 0;
    for (const auto& [path, file] : names_.files) {
        digest = hash_bytes(path, digest);
        digest = hash_bytes(as_text(file->bytes), digest);
    }
    return digest;
}

bool VirtualDisk::flip_bit(const std::string& path, std::uint64_t byte) {
    const FilePtr file = find(path);
    if (!file || byte >= file->bytes.size()) return false;
    const std::uint8_t bit = static_cast<std::uint8_t>(1U << random_.below(8));
    file->bytes[static_cast<std::size_t>(byte)] ^= bit;
    if (byte < file->synced.size()) file->synced[static_cast<std::size_t>(byte)] ^= bit;
    return true;
}

}  // namespace mitu::store
