#include "mitu/store/reserve.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mitu::store {

bool Reserve::release() { return bytes_ > 0 && ::unlink(path_.c_str()) == 0; }

std::uint64_t Reserve::held_bytes() const {
    struct stat found{};
    if (bytes_ == 0 || ::stat(path_.c_str(), &found) != 0) return 0;
    return static_cast<std::uint64_t>(found.st_blocks) * 512 >= bytes_ ? bytes_ : 0;
}

bool Reserve::refill() {
    if (bytes_ == 0) return false;
    if (held_bytes() > 0) return true;
    const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return false;
    // Not posix_fallocate(): where the file system cannot do it, that writes zeros for a while.
    const bool is_taken = ::fallocate(file, 0, 0, static_cast<off_t>(bytes_)) == 0;
    ::close(file);
    if (!is_taken) ::unlink(path_.c_str());
    return is_taken;
}

}  // namespace mitu::store
