// MODLAB_VECTOR_WIDTHS before a function: it is compiled for each vector width,
// and the loader picks. Whatever gives the same bits in each of them does so on
// every x86-64 machine. Not for templates: mark a plain function that calls one
// which is always inlined.

#ifndef MODLAB_LIB_RULES_VECTOR_WIDTHS_H_
#define MODLAB_LIB_RULES_VECTOR_WIDTHS_H_

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MODLAB_VECTOR_WIDTHS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MODLAB_VECTOR_WIDTHS
#endif

#endif  // MODLAB_LIB_RULES_VECTOR_WIDTHS_H_
