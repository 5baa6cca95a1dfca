/* quic_frames: the CRYPTO stream out of an opened Initial packet. RFC 9000 19, and Google's frames of Q050,
 * T050 and T051. */
#ifndef LEAKTAP_DISSECT_QUIC_FRAMES_H
#define LEAKTAP_DISSECT_QUIC_FRAMES_H

#include <stdbool.h>

#include "dissect/assemble.h"
#include "dissect/bytes.h"

/* Adds every CRYPTO frame's bytes to stream, in whatever order they come. false: a frame that has no place in
 * an Initial or does not fit; what came before it is kept. Linear. */
bool quic_frames_crypto(struct slice plain, bool google, struct assemble *stream,
			struct assemble_budget *budget);

#endif
