from circular_one import one

two = one
