"""Wrong calls of every public function, of every class of fault: each ends in a documented error or a right result."""
