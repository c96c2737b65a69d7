/* Arithmetic on numbers from outside: true if the result did not fit. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#define checked_add(a, b, out) __builtin_add_overflow(a, b, out)
#define checked_sub(a, b, out) __builtin_sub_overflow(a, b, out)
#define checked_mul(a, b, out) __builtin_mul_overflow(a, b, out)

#endif
