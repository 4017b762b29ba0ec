"""The portal: where customers see what is known of them, and decide over it."""
