"""Why a Mask2Former sees what it sees: its queries, and a picture of them."""
