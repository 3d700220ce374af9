// SPDX-License-Identifier: MIT
//
// Port programs from libmmngr and libmmngrbuf to dma-buf heaps
//
//   spatch --sp-file mmngr.cocci --in-place FILE.c
//
// What comes out includes mmngr-to-dma-heap.h. What has no replacement becomes a
// macro of that header, RCAR_HEAP_NO_..., which does not compile and says why.
// README.md tells what is left to do by hand.
//
//   -D keep_cached	leave cached buffers cached in a file that never flushes
//
// mmngr gives an address for a buffer and takes addresses of buffers. A heap gives
// and takes file descriptors. So the work is to find out which buffer an address is
// of. It goes in these steps:
//
//   1. Calls that give an address become rcar_heap_from_...(address, ...), those that
//      take one rcar_heap_to_...(address, ...), whatever the generation of the API.
//   2. A call that takes an address is given the buffer instead, if the address comes
//      from one: on a path through the same function, or by the members of a structure.
//   3. What then still uses an address is marked.
//   4. Calls that give an address cease to. The rest has replacements one to one.
//
// The names of step 1 exist in no header: if one is in the result, a rule failed.

virtual keep_cached

// ------------------------------------------------------------------------------
// Headers and devices

@include_user@
@@
- #include "mmngr_user_public.h"
+ #include "mmngr-to-dma-heap.h"

@include_user_system@
@@
- #include <mmngr_user_public.h>
+ #include "mmngr-to-dma-heap.h"

// One is enough.
@include_buf depends on !include_user && !include_user_system@
@@
- #include "mmngr_buf_user_public.h"
+ #include "mmngr-to-dma-heap.h"

@include_buf_system depends on !include_user && !include_user_system@
@@
- #include <mmngr_buf_user_public.h>
+ #include "mmngr-to-dma-heap.h"

@include_twice@
@@
- #include "mmngr_buf_user_public.h"

@include_twice_system@
@@
- #include <mmngr_buf_user_public.h>

// The ioctls behind the library. Their structures and numbers are in no header now.
@device@
@@
(
- "/dev/rgnmm"
+ RCAR_HEAP_NO_DEVICE("/dev/rgnmm")
|
- "/dev/rgnmmbuf"
+ RCAR_HEAP_NO_DEVICE("/dev/rgnmmbuf")
)

// ------------------------------------------------------------------------------
// A cached buffer that is never synchronised is a bug that QEMU does not show, and a
// board shows now and then. Where nothing in a file synchronises, its buffers become
// uncached, which is always right, and slow where the CPU reads them.

@syncs@
symbol DMA_BUF_IOCTL_SYNC;
@@
(
 mmngr_flush(...)
|
 mmngr_inval(...)
|
 ioctl(..., DMA_BUF_IOCTL_SYNC, ...)
)

@uncache depends on !syncs && !keep_cached@
symbol MMNGR_VA_SUPPORT_CACHED, MMNGR_VA_SUPPORT;
symbol MM_KERNELHEAP_CACHED, MM_KERNELHEAP;
@@
(
- MMNGR_VA_SUPPORT_CACHED
+ MMNGR_VA_SUPPORT
|
- MM_KERNELHEAP_CACHED
+ MM_KERNELHEAP
)

// ------------------------------------------------------------------------------
// 1. One form for the calls of both generations

// What a macro does with addresses is seen where it is used, which the rules below
// do not look at.
@in_function@
identifier fn;
identifier f = {mmngr_alloc_in_user_ext, mmngr_alloc_in_user, mmngr_import_start_in_user_ext, mmngr_import_start_in_user};
position p;
@@
 fn(...) { <+... f@p(...) ...+> }

@in_macro@
identifier f = {mmngr_alloc_in_user_ext, mmngr_alloc_in_user, mmngr_import_start_in_user_ext, mmngr_import_start_in_user};
position p != in_function.p;
expression list ES;
@@
- f@p(ES)
+ RCAR_HEAP_NO_MACRO(ES)

// &(x) and &x are the same buffer below.
@unparen@
expression E;
identifier f =~ "^mmngr_";
@@
 f(...,
- &(E)
+ &E
 ,...)

@alloc_ext@
expression I, S, H, V, F, M;
@@
- mmngr_alloc_in_user_ext(I, S, H, V, F, M)
+ rcar_heap_from_alloc(H, H, I, S, V, F, M)

// The Gen2 API has two addresses. libmmngr always sets the physical one to -1.
@alloc_gen2@
expression I, S, P, H, V, F;
@@
- mmngr_alloc_in_user(I, S, P, H, V, F)
+ rcar_heap_from_alloc_gen2(H, P, I, S, V, F)

@import_ext@
expression I, S, H, B, M;
@@
- mmngr_import_start_in_user_ext(I, S, H, B, M)
+ rcar_heap_from_import(H, H, I, S, B)

@import_gen2@
expression I, S, H, B;
@@
- mmngr_import_start_in_user(I, S, H, B)
+ rcar_heap_from_import_gen2(H, H, I, S, B)

@export_ext@
expression X, S, H, B, M;
@@
- mmngr_export_start_in_user_ext(X, S, H, B, M)
+ rcar_heap_to_export(H, X, S, B)

@export_gen2@
expression X, S, H, B;
@@
- mmngr_export_start_in_user(X, S, H, B)
+ rcar_heap_to_export(H, X, S, B)

@share_ext@
expression X, S, H, V, M;
@@
(
- mmngr_share_in_user_ext(X, S, H, V, M)
+ rcar_heap_to_share(H, X, S, V)
|
- mmngr_debug_map_va_ext(X, S, H, V, M)
+ rcar_heap_to_share(H, X, S, V)
)

@share_gen2@
expression X, S, H, V;
@@
(
- mmngr_share_in_user(X, S, H, V)
+ rcar_heap_to_share_gen2(H, X, S, V)
|
- mmngr_debug_map_va(X, S, H, V)
+ rcar_heap_to_share_gen2(H, X, S, V)
)

// (unsigned int *)&address is that address, too.
@uncast_first@
type T;
expression H;
identifier f =~ "^rcar_heap_from_";
@@
 f(
- (T)&H
+ &H
 ,...)

@uncast_second@
type T;
expression E, H;
identifier f =~ "^rcar_heap_from_";
@@
 f(E,
- (T)&H
+ &H
 ,...)

// (unsigned int)address is that address.
@uncast disable drop_cast@
type T;
expression H;
identifier f =~ "^rcar_heap_to_";
@@
 f(
- (T)H
+ H
 ,...)

// ------------------------------------------------------------------------------
// 2. Whose address is it?

// On a path through the function, from the call that gave it and unchanged since.
@found exists@
expression H, I, P, E;
identifier f =~ "^rcar_heap_from_";
identifier to =~ "^rcar_heap_to_";
type T;
position p;
@@
(
 f(&H, P, \(&I\|(T)&I\), ...)
|
 f(P, &H, \(&I\|(T)&I\), ...)
)
 ... when any
     when != &H
     when != H = E
     when != H += E
     when != H -= E
 to@p(H, ...)

// Where else the address or the id gets a value, and not both of this pair
@apart@
expression found.H, found.I;
expression E, P, P1;
identifier f =~ "^rcar_heap_from_";
identifier g !~ "^rcar_heap_from_";
type T;
position b;
@@
(
 f(&H, P, \(&I\|(T)&I\), ...)
|
 f(P, &H, \(&I\|(T)&I\), ...)
|
 f(&H@b, ...)
|
 f(P, &H@b, ...)
|
 f(P, P1, \(&I@b\|(T)&I@b\), ...)
|
 g(..., \(&H@b\|(T)&H@b\), ...)
|
 g(..., \(&I@b\|(T)&I@b\), ...)
|
 H@b = E
|
 H@b += E
|
 H@b -= E
|
 I@b = E
)

// On a path from there they need not belong together.
@doubtful exists@
expression found.H;
expression N, P;
identifier f =~ "^rcar_heap_from_";
identifier to =~ "^rcar_heap_to_";
position apart.b, found.p, q;
@@
 N@b
 ... when any
     when != f(&H, ...)
     when != f(P, &H, ...)
 to@p@q(H, ...)

@refuse@
expression H, X, S, R;
position doubtful.q;
@@
(
- rcar_heap_to_export@q(H, X, S, R)
+ RCAR_HEAP_NO_EXPORT(H, X, S, R)
|
- rcar_heap_to_share@q(H, X, S, R)
+ RCAR_HEAP_NO_SHARE(H, X, S, R)
|
- rcar_heap_to_share_gen2@q(H, X, S, R)
+ RCAR_HEAP_NO_SHARE(H, X, S, R)
)

// The rest, once more, since no position is passed on over a change. Not in one rule with
// the refusals: a place that two buffers lead to would be changed twice.
@sure exists@
expression H, I, P, E;
identifier f =~ "^rcar_heap_from_";
identifier to =~ "^rcar_heap_to_";
type T;
position p;
@@
(
 f(&H, P, \(&I\|(T)&I\), ...)
|
 f(P, &H, \(&I\|(T)&I\), ...)
)
 ... when any
     when != &H
     when != H = E
     when != H += E
     when != H -= E
 to@p(H, ...)

@do_sure@
expression sure.H, sure.I, X, S, R;
position sure.p;
@@
(
- rcar_heap_to_export@p(H, X, S, R)
+ rcar_heap_export(I, X, S, R)
|
- rcar_heap_to_share@p(H, X, S, R)
+ rcar_heap_share(I, X, S, R)
|
- rcar_heap_to_share_gen2@p(H, X, S, R)
+ rcar_heap_share_gen2(I, X, S, R)
)

// In a member of the structure that has the id in another one. The type has to be
// known, as another structure may have members of these names. The isomorphisms would
// drop the index of an array of such structures.
@fields disable ptr_to_array, fld_to_ptr@
type T;
T *E;
T V;
expression P;
identifier FH, FI;
identifier f =~ "^rcar_heap_from_";
@@
(
 f(&E->FH, P, &E->FI, ...)
|
 f(P, &E->FH, &E->FI, ...)
|
 f(&V.FH, P, &V.FI, ...)
|
 f(P, &V.FH, &V.FI, ...)
)

// A member that gets other addresses, too, tells nothing.
@fields_set disable ptr_to_array, fld_to_ptr@
type fields.T;
T *E;
T V;
identifier fields.FH;
constant C;
expression N;
position p;
@@
(
 E->FH = C
|
 V.FH = C
|
 E->FH@p = N
|
 V.FH@p = N
)

@fields_refuse depends on fields_set disable ptr_to_array, fld_to_ptr@
type fields.T;
T *E;
T V;
expression X, S, R, N;
identifier fields.FH;
position fields_set.p;
@@
(
 N@p
|
- rcar_heap_to_export(E->FH, X, S, R)
+ RCAR_HEAP_NO_EXPORT(E->FH, X, S, R)
|
- rcar_heap_to_export(V.FH, X, S, R)
+ RCAR_HEAP_NO_EXPORT(V.FH, X, S, R)
|
- \(rcar_heap_to_share\|rcar_heap_to_share_gen2\)(E->FH, X, S, R)
+ RCAR_HEAP_NO_SHARE(E->FH, X, S, R)
|
- \(rcar_heap_to_share\|rcar_heap_to_share_gen2\)(V.FH, X, S, R)
+ RCAR_HEAP_NO_SHARE(V.FH, X, S, R)
)

@do_fields disable ptr_to_array, fld_to_ptr@
type fields.T;
T *E;
T V;
expression X, S, R;
identifier fields.FH, fields.FI;
@@
(
- rcar_heap_to_export(E->FH, X, S, R)
+ rcar_heap_export(E->FI, X, S, R)
|
- rcar_heap_to_export(V.FH, X, S, R)
+ rcar_heap_export(V.FI, X, S, R)
|
- rcar_heap_to_share(E->FH, X, S, R)
+ rcar_heap_share(E->FI, X, S, R)
|
- rcar_heap_to_share(V.FH, X, S, R)
+ rcar_heap_share(V.FI, X, S, R)
|
- rcar_heap_to_share_gen2(E->FH, X, S, R)
+ rcar_heap_share_gen2(E->FI, X, S, R)
|
- rcar_heap_to_share_gen2(V.FH, X, S, R)
+ rcar_heap_share_gen2(V.FI, X, S, R)
)

// ------------------------------------------------------------------------------
// 3. What still takes an address, or uses one

@no_export@
expression H, X, S, B;
@@
- rcar_heap_to_export(H, X, S, B)
+ RCAR_HEAP_NO_EXPORT(H, X, S, B)

@no_share@
expression H, X, S, V;
@@
(
- rcar_heap_to_share(H, X, S, V)
+ RCAR_HEAP_NO_SHARE(H, X, S, V)
|
- rcar_heap_to_share_gen2(H, X, S, V)
+ RCAR_HEAP_NO_SHARE(H, X, S, V)
)

// In the very expression of the call.
@found_beside exists@
expression H, P, E;
identifier f =~ "^rcar_heap_from_";
position p;
@@
(
 (<+... f(&H, P, ...) ...+>) && (<+... H@p ...+>)
|
 (<+... f(P, &H, ...) ...+>) && (<+... H@p ...+>)
|
 (<+... f(&H, P, ...) ...+>) || (<+... H@p ...+>)
|
 (<+... f(P, &H, ...) ...+>) || (<+... H@p ...+>)
|
 (<+... f(&H, P, ...) ...+>) ? (<+... H@p ...+>) : E
|
 (<+... f(P, &H, ...) ...+>) ? (<+... H@p ...+>) : E
|
 (<+... f(&H, P, ...) ...+>) ? E : (<+... H@p ...+>)
|
 (<+... f(P, &H, ...) ...+>) ? E : (<+... H@p ...+>)
)

@do_beside@
expression found_beside.H;
position found_beside.p;
@@
- H@p
+ RCAR_HEAP_NO_ADDRESS(H)

// On a path from it.
@found_address exists@
expression H, P, E;
identifier f =~ "^rcar_heap_from_";
identifier g =~ "^rcar_heap_from_";
position p;
@@
(
 f(&H, P, ...)
|
 f(P, &H, ...)
)
 ... when any
(
 g(..., &H, ...)
|
 H = E
|
 RCAR_HEAP_NO_EXPORT(...)
|
 RCAR_HEAP_NO_SHARE(...)
|
 RCAR_HEAP_NO_ADDRESS(...)
|
 H@p
)

@do_address@
expression found_address.H;
position found_address.p;
@@
- H@p
+ RCAR_HEAP_NO_ADDRESS(H)

// An array of addresses, read with another index than it was filled with.
@found_array exists@
idexpression A;
expression K, K1, P, E;
identifier f =~ "^rcar_heap_from_";
identifier g =~ "^rcar_heap_from_";
position p;
@@
(
 f(&A[K], P, ...)
|
 f(P, &A[K], ...)
)
 ... when any
(
 g(..., &A[K1], ...)
|
 A[K1] = E
|
 RCAR_HEAP_NO_EXPORT(...)
|
 RCAR_HEAP_NO_SHARE(...)
|
 RCAR_HEAP_NO_ADDRESS(...)
|
 A@p
)

@do_array@
idexpression found_array.A;
position found_array.p;
expression K;
@@
(
- A@p[K]
+ RCAR_HEAP_NO_ADDRESS(A[K])
|
- A@p
+ RCAR_HEAP_NO_ADDRESS(A)
)

// Members and variables that outlive the function are looked for in the whole file,
// after step 4, when no call gives an address any more. Here are their names.
@hard_fields disable ptr_to_array, fld_to_ptr@
expression E, P, K;
identifier FH;
identifier f =~ "^rcar_heap_from_";
@@
(
 f(&E->FH, P, ...)
|
 f(P, &E->FH, ...)
|
 f(&E.FH, P, ...)
|
 f(P, &E.FH, ...)
|
 f(&E->FH[K], P, ...)
|
 f(P, &E->FH[K], ...)
|
 f(&E.FH[K], P, ...)
|
 f(P, &E.FH[K], ...)
)

@hard_globals@
global idexpression G;
expression P, K;
identifier f =~ "^rcar_heap_from_";
@@
(
 f(&G, P, ...)
|
 f(P, &G, ...)
|
 f(&G[K], P, ...)
|
 f(P, &G[K], ...)
)

@hard_locals@
identifier h;
identifier f =~ "^rcar_heap_from_";
expression P;
@@
(
 f(&h, P, ...)
|
 f(P, &h, ...)
)

@hard_locals_second@
identifier h;
identifier f =~ "^rcar_heap_from_";
expression P;
@@
 f(P, &h, ...)

// ------------------------------------------------------------------------------
// 4. The calls

// An address that goes to a pointer of unknown origin may be used anywhere.
@allocs@
expression H, I, S, V, F, M;
type T;
@@
(
- rcar_heap_from_alloc(&H, &H, I, S, V, F, \(NULL\|0\|(T)NULL\|(T)0\))
+ rcar_heap_alloc(I, S, V, F)
|
- rcar_heap_from_alloc(&H, &H, I, S, V, F, M)
+ RCAR_HEAP_NO_LOSSY(I, S, V, F, M)
|
- rcar_heap_from_alloc(H, H, I, S, V, F, M)
+ RCAR_HEAP_NO_ADDRESS(H, I, S, V, F, M)
)

@allocs_gen2@
expression H, P, I, S, V, F;
@@
(
- rcar_heap_from_alloc_gen2(&H, &P, I, S, V, F)
+ rcar_heap_alloc_gen2(I, S, V, F)
|
- rcar_heap_from_alloc_gen2(H, P, I, S, V, F)
+ RCAR_HEAP_NO_ADDRESS(H, P, I, S, V, F)
)

@imports@
expression H, I, S, B;
@@
(
- rcar_heap_from_import(&H, &H, I, S, B)
+ rcar_heap_import(I, S, B)
|
- rcar_heap_from_import(H, H, I, S, B)
+ RCAR_HEAP_NO_ADDRESS(H, I, S, B)
|
- rcar_heap_from_import_gen2(&H, &H, I, S, B)
+ rcar_heap_import_gen2(I, S, B)
|
- rcar_heap_from_import_gen2(H, H, I, S, B)
+ RCAR_HEAP_NO_ADDRESS(H, I, S, B)
)

@ends@
expression I;
@@
(
- mmngr_free_in_user_ext(I)
+ rcar_heap_free(I)
|
- mmngr_free_in_user(I)
+ rcar_heap_free(I)
|
- mmngr_release_in_user_ext(I)
+ rcar_heap_free(I)
|
- mmngr_release_in_user(I)
+ rcar_heap_free(I)
|
- mmngr_debug_unmap_va_ext(I)
+ rcar_heap_free(I)
|
- mmngr_debug_unmap_va(I)
+ rcar_heap_free(I)
|
- mmngr_export_end_in_user_ext(I)
+ rcar_heap_export_end(I)
|
- mmngr_export_end_in_user(I)
+ rcar_heap_export_end(I)
|
- mmngr_import_end_in_user_ext(I)
+ rcar_heap_import_end(I)
|
- mmngr_import_end_in_user(I)
+ rcar_heap_import_end(I)
)

// Flushing more than was asked for costs time. Invalidating more may lose data, so
// that only what starts at 0, as a whole buffer does, goes without a look.
@sync_calls@
expression I, O, L;
@@
(
- mmngr_flush(I, O, L)
+ rcar_heap_flush(I, O, L)
|
- mmngr_inval(I, 0, L)
+ rcar_heap_inval(I, 0, L)
|
- mmngr_inval(I, O, L)
+ RCAR_HEAP_NO_RANGE(I, O, L)
)

// ------------------------------------------------------------------------------
// 3, continued: in the whole file

@field_lhs disable ptr_to_array, fld_to_ptr@
expression E, E1, K;
identifier hard_fields.FH;
position q;
@@
(
 E->FH@q = E1
|
 E.FH@q = E1
|
 E->FH@q[K] = E1
|
 E.FH@q[K] = E1
)

@field_marked disable ptr_to_array, fld_to_ptr@
expression E;
identifier hard_fields.FH;
position q;
@@
(
 RCAR_HEAP_NO_ADDRESS(E->FH@q)
|
 RCAR_HEAP_NO_ADDRESS(E.FH@q)
|
 \(RCAR_HEAP_NO_EXPORT\|RCAR_HEAP_NO_SHARE\)(E->FH@q, ...)
|
 \(RCAR_HEAP_NO_EXPORT\|RCAR_HEAP_NO_SHARE\)(E.FH@q, ...)
)

@field_use disable ptr_to_array, fld_to_ptr@
expression E;
identifier hard_fields.FH;
position p != {field_lhs.q, field_marked.q};
expression K;
@@
(
- E->FH@p[K]
+ RCAR_HEAP_NO_ADDRESS(E->FH[K])
|
- E.FH@p[K]
+ RCAR_HEAP_NO_ADDRESS(E.FH[K])
|
- E->FH@p
+ RCAR_HEAP_NO_ADDRESS(E->FH)
|
- E.FH@p
+ RCAR_HEAP_NO_ADDRESS(E.FH)
)

@global_lhs@
expression E, K;
global idexpression hard_globals.G;
position q;
@@
(
 G@q = E
|
 G@q[K] = E
)

@global_marked@
global idexpression hard_globals.G;
position q;
@@
 RCAR_HEAP_NO_ADDRESS(G@q)

@global_use@
global idexpression hard_globals.G;
position p != {global_lhs.q, global_marked.q};
expression K;
@@
(
- G@p[K]
+ RCAR_HEAP_NO_ADDRESS(G[K])
|
- G@p
+ RCAR_HEAP_NO_ADDRESS(G)
)

// ------------------------------------------------------------------------------
// Functions that something else is done with than to call them, and calls with other
// arguments than the headers have

@no_function@
symbol mmngr_alloc_in_user_ext, mmngr_alloc_in_user;
symbol mmngr_free_in_user_ext, mmngr_free_in_user;
symbol mmngr_share_in_user_ext, mmngr_share_in_user;
symbol mmngr_release_in_user_ext, mmngr_release_in_user;
symbol mmngr_export_start_in_user_ext, mmngr_export_start_in_user;
symbol mmngr_export_end_in_user_ext, mmngr_export_end_in_user;
symbol mmngr_import_start_in_user_ext, mmngr_import_start_in_user;
symbol mmngr_import_end_in_user_ext, mmngr_import_end_in_user;
symbol mmngr_flush, mmngr_inval;
@@
(
- mmngr_alloc_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_alloc_in_user_ext)
|
- mmngr_alloc_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_alloc_in_user)
|
- mmngr_free_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_free_in_user_ext)
|
- mmngr_free_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_free_in_user)
|
- mmngr_share_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_share_in_user_ext)
|
- mmngr_share_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_share_in_user)
|
- mmngr_release_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_release_in_user_ext)
|
- mmngr_release_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_release_in_user)
|
- mmngr_export_start_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_export_start_in_user_ext)
|
- mmngr_export_start_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_export_start_in_user)
|
- mmngr_export_end_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_export_end_in_user_ext)
|
- mmngr_export_end_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_export_end_in_user)
|
- mmngr_import_start_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_import_start_in_user_ext)
|
- mmngr_import_start_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_import_start_in_user)
|
- mmngr_import_end_in_user_ext
+ RCAR_HEAP_NO_FUNCTION(mmngr_import_end_in_user_ext)
|
- mmngr_import_end_in_user
+ RCAR_HEAP_NO_FUNCTION(mmngr_import_end_in_user)
|
- mmngr_flush
+ RCAR_HEAP_NO_FUNCTION(mmngr_flush)
|
- mmngr_inval
+ RCAR_HEAP_NO_FUNCTION(mmngr_inval)
)

@no_name@
constant char [] c =~ "mmngr_";
expression E;
@@
 dlsym(E,
- c
+ RCAR_HEAP_NO_NAME(c)
 )

// ------------------------------------------------------------------------------
// Variables for an address that nothing asks for any more

@set@
identifier hard_locals.h;
expression E;
position q;
@@
 h@q = E

@read@
identifier hard_locals.h;
position p != set.q;
@@
 h@p

@drop_assignment depends on !read@
identifier hard_locals.h;
constant C;
@@
- h = C;

@drop@
type T;
identifier hard_locals.h;
@@
- T h;
  ... when != h

@drop_set@
type T;
constant C;
identifier hard_locals.h;
@@
- T h = C;
  ... when != h

@drop_second@
type T;
identifier hard_locals_second.h;
@@
- T h;
  ... when != h

@drop_second_set@
type T;
constant C;
identifier hard_locals_second.h;
@@
- T h = C;
  ... when != h
