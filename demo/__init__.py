"""`make demo`: real calls on a private stack, to watch; and what a softphone finds on the stack of `make up`."""
