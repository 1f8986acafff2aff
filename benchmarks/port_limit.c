/* How fast this machine can do the arithmetic of second-order sections and nothing else: as many multiplications and
 * additions on full vectors, none waiting for another in sight, nothing loaded, transposed or stored. No fused
 * multiply-adds: they would change bits.
 *
 * general: 5 multiplications and 4 additions a section. even: 4 and 4, for b2 = b0. Each call does 6 n sections. */

#define MULTIPLY p0 *= f; p1 *= f; p2 *= f; p3 *= f; p4 *= f; p5 *= f;
#define ADD s0 += t; s1 += t; s2 += t; s3 += t; s4 += t; s5 += t;
#define LOOP(name, target, lanes, work)                                                              \
    target double name##lanes(long n)                                                                \
    {                                                                                                \
        typedef double vector __attribute__((vector_size(8 * lanes)));                               \
        const vector f = (vector){0} + 0.999999999, t = (vector){0} + 1e-9;                          \
        vector p0 = t + 1, p1 = t + 2, p2 = t + 3, p3 = t + 4, p4 = t + 5, p5 = t + 6;               \
        vector s0 = t + 1, s1 = t + 2, s2 = t + 3, s3 = t + 4, s4 = t + 5, s5 = t + 6;               \
        for (long i = 0; i < n; i++) {                                                               \
            work                                                                                     \
        }                                                                                            \
        return (p0 + p1 + p2 + p3 + p4 + p5 + s0 + s1 + s2 + s3 + s4 + s5)[0];                       \
    }
#define BOTH(target, lanes)                                                                          \
    LOOP(general, target, lanes, MULTIPLY ADD MULTIPLY ADD MULTIPLY ADD MULTIPLY ADD MULTIPLY)       \
    LOOP(even, target, lanes, MULTIPLY ADD MULTIPLY ADD MULTIPLY ADD MULTIPLY ADD)

BOTH(, 2)
#ifdef __x86_64__
BOTH(__attribute__((target("avx2"))), 4)
BOTH(__attribute__((target("avx512f"))), 8)
#endif
