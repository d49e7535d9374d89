#pragma once
// Result: what a function returns when the peer or the world may refuse (style: "Errors").

#include <expected>

namespace mitu {

template <class T, class E>
using Result = std::expected<T, E>;

}  // namespace mitu
