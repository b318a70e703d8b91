"""CustomerService: who a customer is, how they want to be spoken to, what is known of and promised to them."""
