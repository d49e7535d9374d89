#pragma once
// MITU_LIFETIME_BOUND: what the compiler can refuse, of borrowers that outlive what they borrow.

/// Behind a parameter, or behind a member function for its object: what is returned or constructed
/// borrows from it. Clang then refuses (-Wdangling, -Wreturn-stack-address) to let it outlive a
/// temporary or a local variable; g++ does not know the attribute.
#ifdef __clang__
#define MITU_LIFETIME_BOUND [[clang::lifetimebound]]
#else
#define MITU_LIFETIME_BOUND
#endif
