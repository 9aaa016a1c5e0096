"""The protocol: frames, and the bodies of requests and answers. No I/O."""
