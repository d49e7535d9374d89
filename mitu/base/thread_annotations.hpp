#pragma once
// Clang's thread-safety attributes under names of ours; nothing with other compilers.
// Source  https://clang.llvm.org/docs/ThreadSafetyAnalysis.html

#if defined(__clang__)
#define MITU_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define MITU_THREAD_ATTRIBUTE(x)
#endif

#define MITU_CAPABILITY(name) MITU_THREAD_ATTRIBUTE(capability(name))
#define MITU_SCOPED_CAPABILITY MITU_THREAD_ATTRIBUTE(scoped_lockable)
#define MITU_GUARDED_BY(mutex) MITU_THREAD_ATTRIBUTE(guarded_by(mutex))
#define MITU_REQUIRES(...) MITU_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define MITU_ACQUIRE(...) MITU_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define MITU_RELEASE(...) MITU_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define MITU_EXCLUDES(...) MITU_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
