"""ConsentService: what customers allow, and what they no longer allow."""
